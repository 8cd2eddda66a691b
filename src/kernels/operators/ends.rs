//! Ends, apart from the tensors that they are of: what the attributes say of them, and the inputs and outputs, checked.

use ort::operator::{ComputeContext, KernelContext};

use super::node::{Node, Row, Shape};
use crate::kernels::{Levels, LevelsMut, Quantization};

/// The attributes for the ends of `x` or of `y`: how many times as far apart their levels are, and how long they are.
pub(super) struct Ends {
    names: [&'static str; 2],
    times: Option<f32>,
    length: Option<usize>,
}

impl Ends {
    pub fn of_x(node: &Node, context: &KernelContext<'_>) -> ort::Result<Self> {
        Self::read(["x_ends_times", "x_ends_positions"], node, context)
    }

    pub fn of_y(node: &Node, context: &KernelContext<'_>) -> ort::Result<Self> {
        Self::read(["y_ends_times", "y_ends_width"], node, context)
    }

    fn read(names: [&'static str; 2], node: &Node, context: &KernelContext<'_>) -> ort::Result<Self> {
        let refused = |name, expected, found: &dyn std::fmt::Display| {
            node.refused(format!("expected an attribute `{name}` {expected}, found {found}"))
        };
        let times = context.get::<f32>(names[0]);
        if let Some(found) = times.filter(|times| !times.is_finite() || *times <= 0.0) {
            return Err(refused(names[0], "above 0 and finite", &found));
        }
        let length = context.get::<i64>(names[1]);
        if let Some(found) = length.filter(|&length| length < 1) {
            return Err(refused(names[1], "of 1 or more", &found));
        }
        let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        Ok(Self { names, times, length })
    }

    /// The attributes, which must be there.
    fn given(&self, node: &Node) -> ort::Result<(f32, usize)> {
        let [times, length] = self.names;
        let missing =
            |name, of| node.refused(format!("expected an attribute `{name}` of type {of}, found none"));
        Ok((
            self.times.ok_or_else(|| missing(times, "float"))?,
            self.length.ok_or_else(|| missing(length, "int"))?,
        ))
    }

    /// Gives `read` input `x`, with its quantizations behind it and its ends, if there are any, at `position`.
    pub fn with_input<R>(
        &self,
        node: &Node,
        context: &ComputeContext,
        position: usize,
        read: impl FnOnce(Shape, &Input<'_>) -> ort::Result<R>,
    ) -> ort::Result<R> {
        node.with_x::<u8, _>(context, |shape, x| {
            let from = node.quantizations(context, 1, 'x', shape)?;
            let value = Node::optional(context, position)?;
            let mut input = Input { shape, x, from, ends: &[], width: 0, positions: 0, times: 1.0 };
            if let Some(value) = &value {
                let (times, positions) = self.given(node)?;
                let positions = positions.min(shape.time);
                let (dims, elements) = value.try_extract_tensor::<u8>()?;
                let [windows, channels, time] = shape.windows(shape.time);
                let width = match **dims {
                    [n, c, width]
                        if [n, c] == [windows, channels] && (positions as i64..=time).contains(&width) =>
                    {
                        width as usize
                    }
                    _ => {
                        let found = &**dims;
                        return Err(node.refused(format!(
                            "expected `x_ends` of [{windows}, {channels}, {positions} to {time}], found {found:?}"
                        )));
                    }
                };
                input = Input { ends: elements, width, positions, times, ..input };
            }
            read(shape, &input)
        })
    }

    /// Makes the output `y`, in levels `to`, and, if it is asked for, `y_ends`, and has `run` fill them by [`Node::fill`].
    pub fn fill(
        &self,
        node: &Node,
        context: &ComputeContext,
        shape: Shape,
        to: &[Quantization],
        run: impl Fn(Row, LevelsMut<'_>) + Sync + Send,
    ) -> ort::Result<()> {
        if context.num_outputs()? < 2 {
            return node.fill(context, shape, |row, y| run(row, LevelsMut::new(y, to[row.channel])));
        }
        let (times, width) = self.given(node)?;
        let width = width.min(shape.time);
        let ends = context.output(1, shape.windows(width))?.map(|value| (value, width));
        node.fill_with(context, shape, ends, |row, y, ends| {
            run(row, LevelsMut::with_ends(y, to[row.channel], ends, times));
        })
    }
}

/// Input `x` in levels.
pub(super) struct Input<'a> {
    shape: Shape,
    x: &'a [u8],
    from: Vec<Quantization>,
    /// The first windows, then the last ones: [2 · N, C, `width`].
    ends: &'a [u8],
    width: usize,
    /// How many positions of a window count.
    positions: usize,
    times: f32,
}

impl Input<'_> {
    pub fn row(&self, row: Row) -> Levels<'_> {
        let levels = row.of(self.x, self.shape.time);
        let (first, last) = self.ends.split_at(self.ends.len() / 2);
        let [first, last] = [first, last].map(|windows| row.of(windows, self.width));
        let ends = [&first[..self.positions], &last[self.width - self.positions..]];
        Levels::with_ends(levels, self.from[row.channel], ends, self.times)
    }
}
