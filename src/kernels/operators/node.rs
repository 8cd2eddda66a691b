//! A node of a graph that calls one of the operators: its inputs, checked, and its channels, dealt to threads.

use std::sync::{Mutex, PoisonError};

use ort::operator::{ComputeContext, KernelContext};
use ort::value::PrimitiveTensorElementType;

use super::DOMAIN;
use crate::kernels::Quantization;

/// Fewer values are computed sooner than another thread is woken.
const ALONE: usize = 1 << 13;

/// How many parts the channels are dealt in. More than there are threads, so that one on a slower or busier processor takes
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

impl Shape {
    pub fn dims(self) -> [i64; 3] {
        [self.batch, self.channels, self.time].map(|length| length as i64)
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
        Ok(position < context.num_inputs()? && context.input(position)?.is_some())
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
    /// the number of the channel, where its values begin in a tensor of this shape, and the place for them.
    pub fn fill<T: PrimitiveTensorElementType + Send>(
        &self,
        context: &ComputeContext,
        shape: Shape,
        run: impl Fn(usize, usize, &mut [T]) + Sync + Send,
    ) -> ort::Result<()> {
        let Shape { batch, channels, time } = shape;
        let missing = || self.refused("expected an output `y`, found none");
        let mut value = context.output(0, shape.dims())?.ok_or_else(missing)?;
        if batch * channels * time == 0 {
            return Ok(());
        }
        let (_, elements) = value.try_extract_tensor_mut::<T>()?;
        if elements.len() < ALONE {
            for (row, values) in elements.chunks_exact_mut(time).enumerate() {
                run(row % channels, row * time, values);
            }
            return Ok(());
        }
        let rows: Vec<_> = elements.chunks_exact_mut(time).map(Mutex::new).collect();
        context.par_for(rows.len(), rows.len().min(BATCHES), |row| {
            // Nobody else asks for this one; the lock tells the compiler so.
            let mut values = rows[row].lock().unwrap_or_else(PoisonError::into_inner);
            run(row % channels, row * time, &mut values);
        })
    }
}
