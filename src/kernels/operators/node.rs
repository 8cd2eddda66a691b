//! A node of a graph that calls one of the operators: its inputs, checked, and its channels, dealt to threads.
//!
//! Threads take a few channels at a time (`par_for`), so that a slower processor takes fewer. An
//! operator may not write over its input, which would save it the buffer: two slices of one memory
//! are none in Rust. ONNX Runtime does not ask for the version of a domain that is not its own. So
//! an operator whose meaning changes gets another name, and the engine compares the version that
//! the metadata have.

use std::sync::{Mutex, PoisonError};

use ort::operator::{ComputeContext, KernelContext};
use ort::value::ValueRef;

use super::DOMAIN;

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
    pub fn with_x<R>(
        &self,
        context: &ComputeContext,
        read: impl FnOnce(Shape, &[f32]) -> ort::Result<R>,
    ) -> ort::Result<R> {
        let value = context.input(0)?.ok_or_else(|| self.refused("expected an input `x`, found none"))?;
        let (dims, elements) = value.try_extract_tensor::<f32>()?;
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

    /// The input at `position`, which must be there.
    pub fn required<'c>(
        &self,
        context: &'c ComputeContext,
        position: usize,
        name: &str,
    ) -> ort::Result<ValueRef<'c>> {
        let value = Self::optional(context, position)?;
        value.ok_or_else(|| self.refused(format!("expected an input `{name}`, found none")))
    }

    /// The input at `position`: a value for each channel.
    pub fn per_channel(
        &self,
        context: &ComputeContext,
        position: usize,
        name: &str,
        Shape { channels, .. }: Shape,
    ) -> ort::Result<Vec<f32>> {
        let value = self.required(context, position, name)?;
        let (dims, elements) = value.try_extract_tensor::<f32>()?;
        let others = dims.iter().filter(|&&length| length != 1).count();
        if elements.len() == channels && others <= 1 {
            return Ok(elements.to_vec());
        }
        let found = &**dims;
        Err(self.refused(format!(
            "expected `{name}` of {channels} values, one for each channel of `x`, found the shape {found:?}"
        )))
    }

    /// Makes the output, of `shape`, and has `run` fill it, a channel of an element of the batch at a time: it is given
    /// the place for the values of a [`Row`].
    pub fn fill(
        &self,
        context: &ComputeContext,
        shape: Shape,
        run: impl Fn(Row, &mut [f32]) + Sync + Send,
    ) -> ort::Result<()> {
        let Shape { channels, time, .. } = shape;
        let missing = || self.refused("expected an output `y`, found none");
        let mut value = context.output(0, shape.dims())?.ok_or_else(missing)?;
        if shape.rows() * time == 0 {
            return Ok(());
        }
        let (_, elements) = value.try_extract_tensor_mut::<f32>()?;
        let is_small = is_small(elements.len());
        let rows = elements.chunks_exact_mut(time).enumerate();
        let rows = rows.map(|(number, y)| (Row { number, channel: number % channels }, y));
        deal(context, rows, is_small, |(row, y)| run(row, y))
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
