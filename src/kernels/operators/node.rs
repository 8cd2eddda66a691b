//! A node of a graph that calls one of the operators: its inputs, checked, and its channels, dealt to threads.

use std::sync::{Mutex, PoisonError};

use ort::operator::{ComputeContext, KernelContext};
use ort::value::{PrimitiveTensorElementType, ValueRef, ValueRefMut};

use super::DOMAIN;
use crate::kernels::Quantization;

/// So many values are worth waking another thread for.
const ALONE: usize = 1 << 13;

/// How many groups the parts are dealt in. More than there are threads, so that one on a slower or busier processor takes
/// fewer of them.
const BATCHES: usize = 32;

/// What errors call a node.
pub(super) struct Node {
    operator: &'static str,
    name: String,
}

/// The lengths of a tensor [N, C, T].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    pub batch: usize,
    pub channels: usize,
    pub time: usize,
}

/// A channel of an element of the batch.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Which one of all N · C, in the order of the tensor.
    pub number: usize,
    pub channel: usize,
}

impl Row {
    /// Its values in a tensor [N, C, `length`].
    pub fn of<T>(self, elements: &[T], length: usize) -> &[T] {
        &elements[self.number * length..][..length]
    }
}

impl Shape {
    /// N · C.
    pub fn rows(self) -> usize {
        self.batch * self.channels
    }

    pub fn dims(self) -> [i64; 3] {
        [self.batch, self.channels, self.time].map(|length| length as i64)
    }

    /// The lengths of the ends, each so many positions `wide`: the first windows of the batch, then the last ones.
    pub fn windows(self, wide: usize) -> [i64; 3] {
        Self { batch: 2 * self.batch, time: wide, ..self }.dims()
    }
}

impl Node {
    pub fn new(operator: &'static str, context: &KernelContext<'_>) -> ort::Result<Self> {
        Ok(Self { operator, name: context.node_name()? })
    }

    pub fn refused(&self, message: impl std::fmt::Display) -> ort::Error {
        ort::Error::new(format!("`{DOMAIN}:{}` of node `{}`: {message}", self.operator, self.name))
    }

    /// Whether the optional input at `position` is there.
    pub fn has(context: &ComputeContext, position: usize) -> ort::Result<bool> {
        Ok(Self::optional(context, position)?.is_some())
    }

    /// The optional input at `position`, if it is there.
    pub fn optional(context: &ComputeContext, position: usize) -> ort::Result<Option<ValueRef<'_>>> {
        if position < context.num_inputs()? { context.input(position) } else { Ok(None) }
    }

    /// Gives `read` the lengths of input `x`, which is the first, and its elements.
    pub fn with_x<T: PrimitiveTensorElementType, R>(
        &self,
        context: &ComputeContext,
        read: impl FnOnce(Shape, &[T]) -> ort::Result<R>,
    ) -> ort::Result<R> {
        let value = context.input(0)?.ok_or_else(|| self.refused("expected an input `x`, found none"))?;
        let (dims, elements) = value.try_extract_tensor::<T>()?;
        let lengths: Vec<usize> = dims.iter().filter_map(|&length| length.try_into().ok()).collect();
        let &[batch, channels, time] = lengths.as_slice() else {
            return Err(self.refused(format!("expected `x` of 3 dimensions, found {:?}", &**dims)));
        };
        if elements.len() != batch * channels * time {
            let found = elements.len();
            return Err(self.refused(format!("expected `x` of {:?}, found {found} elements", &**dims)));
        }
        read(Shape { batch, channels, time }, elements)
    }

    /// The input at `position`: a value for each channel, or, if `may_be_one`, one for all.
    pub fn per_channel<T: PrimitiveTensorElementType + Copy>(
        &self,
        context: &ComputeContext,
        position: usize,
        name: &str,
        Shape { channels, .. }: Shape,
        may_be_one: bool,
    ) -> ort::Result<Vec<T>> {
        let missing = || self.refused(format!("expected an input `{name}`, found none"));
        if !Self::has(context, position)? {
            return Err(missing());
        }
        let value = context.input(position)?.ok_or_else(missing)?;
        let (dims, elements) = value.try_extract_tensor::<T>()?;
        if may_be_one && let &[one] = elements {
            return Ok(vec![one; channels]);
        }
        let others = dims.iter().filter(|&&length| length != 1).count();
        if elements.len() == channels && others <= 1 {
            return Ok(elements.to_vec());
        }
        let or_one = if may_be_one { " or one for all" } else { "" };
        let found = &**dims;
        Err(self.refused(format!(
            "expected `{name}` of {channels} values, one for each channel of `x`{or_one}, found the shape {found:?}"
        )))
    }

    /// The inputs `{of}_scale`, at `position`, and `{of}_zero_point`, behind it.
    pub fn quantizations(
        &self,
        context: &ComputeContext,
        position: usize,
        of: char,
        shape: Shape,
    ) -> ort::Result<Vec<Quantization>> {
        let scales = self.per_channel(context, position, &format!("{of}_scale"), shape, true)?;
        let zeros = self.per_channel(context, position + 1, &format!("{of}_zero_point"), shape, true)?;
        Ok(scales.into_iter().zip(zeros).map(|(scale, zero)| Quantization { scale, zero }).collect())
    }

    /// Makes the output, of `shape`, and has `run` fill it, a channel of an element of the batch at a time: it is given
    /// the place for the values of a [`Row`].
    pub fn fill<T: PrimitiveTensorElementType + Send>(
        &self,
        context: &ComputeContext,
        shape: Shape,
        run: impl Fn(Row, &mut [T]) + Sync + Send,
    ) -> ort::Result<()> {
        self.fill_with(context, shape, None, |row, y, _| run(row, y))
    }

    /// [`Self::fill`], where `ends`, uint8 [2 · N, C, W], are filled too: `run` is given the places for the ends of a row, which
    /// are of no length without them.
    pub fn fill_with<T: PrimitiveTensorElementType + Send>(
        &self,
        context: &ComputeContext,
        shape: Shape,
        ends: Option<(ValueRefMut<'_>, usize)>,
        run: impl Fn(Row, &mut [T], [&mut [u8]; 2]) + Sync + Send,
    ) -> ort::Result<()> {
        let Shape { channels, time, .. } = shape;
        let missing = || self.refused("expected an output `y`, found none");
        let mut value = context.output(0, shape.dims())?.ok_or_else(missing)?;
        if shape.rows() * time == 0 {
            return Ok(());
        }
        let (_, elements) = value.try_extract_tensor_mut::<T>()?;
        let is_small = is_small(elements.len());
        let (mut ends, width) = ends.map_or((None, 0), |(value, width)| (Some(value), width));
        let levels = match &mut ends {
            Some(value) => value.try_extract_tensor_mut::<u8>()?.1,
            None => &mut [],
        };
        let (mut first, mut last) = levels.split_at_mut(shape.rows() * width);
        let rows = elements.chunks_exact_mut(time).enumerate().map(|(number, y)| {
            let ends = [&mut first, &mut last].map(|ends| ends.split_off_mut(..width).unwrap_or_default());
            (Row { number, channel: number % channels }, y, ends)
        });
        deal(context, rows, is_small, |(row, y, ends)| run(row, y, ends))
    }
}

/// Whether so many values are computed sooner than another thread is woken.
pub(super) fn is_small(values: usize) -> bool {
    values < ALONE
}

/// Has `run` do each of `parts`, in the threads of the runtime unless they [are small](is_small).
pub(super) fn deal<P: Send>(
    context: &ComputeContext,
    parts: impl Iterator<Item = P>,
    is_small: bool,
    run: impl Fn(P) + Sync + Send,
) -> ort::Result<()> {
    if is_small {
        parts.for_each(run);
        return Ok(());
    }
    let parts: Vec<_> = parts.map(|part| Mutex::new(Some(part))).collect();
    context.par_for(parts.len(), parts.len().min(BATCHES), |number| {
        // Nobody else asks for this one; the lock tells the compiler so.
        let part = parts[number].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(part) = part {
            run(part);
        }
    })
}
