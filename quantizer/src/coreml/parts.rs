//! Slices as parts of a whole: the provider slices only what has a static shape, and splits along a static axis.

use super::edit::{position, replace};
use crate::error::Result;
use crate::graph::{integer_attribute, is, node};
use crate::proto::{GraphProto, NodeProto};
use crate::rewrite::Facts;

/// Turns Slices of one value by constants, which fall into the whole of an axis whose length is known, into Split. Returns
/// how many Slices. Each becomes a Split of its own, which
/// [`common_subexpressions`](crate::rewrite::common_subexpressions) would merge; a part that nothing reads costs nothing.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn parts(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |slice, draft| {
        let part = Part::of(slice, draft.facts)?;
        if draft.facts.dims(part.whole)?.iter().all(Option::is_some) {
            // Taken as it is.
            return None;
        }
        let sizes = [part.start, part.end - part.start, part.length - part.end];
        let kept: Vec<i64> = sizes.into_iter().filter(|&size| size > 0).collect();
        if kept.len() < 2 || part.start == part.end {
            return None;
        }
        let sizes_name = draft.integers(&kept);
        let output = &slice.output[0];
        let rest = ["before", "behind"].map(|what| draft.facts.free_name(&format!("{output}/{what}")));
        let mut split = node("Split", slice.name(), &[part.whole, &sizes_name], &[]);
        split.attribute.push(integer_attribute("axis", part.axis as i64));
        let outputs = [&rest[0], output, &rest[1]].into_iter().zip(sizes);
        split.output = outputs.filter(|(_, size)| *size > 0).map(|(name, _)| name.clone()).collect();
        draft.push(split);
        Some(())
    })
}

/// What a Slice takes of an axis.
struct Part<'a> {
    whole: &'a str,
    axis: usize,
    start: i64,
    end: i64,
    length: i64,
}

impl<'a> Part<'a> {
    fn of(slice: &'a NodeProto, facts: &Facts<'_>) -> Option<Self> {
        let [whole, starts, ends, along, steps @ ..] = slice.input.as_slice() else { return None };
        let one =
            |name: &str| facts.integers(name).filter(|values| values.len() == 1).map(|values| values[0]);
        if !is(slice, "Slice") || steps.first().is_some_and(|step| one(step) != Some(1)) {
            return None;
        }
        let dims = facts.dims(whole)?;
        let axis = position(one(along)?, dims.len())?;
        let length = dims[axis]?;
        let at = |bound: i64| (if bound < 0 { bound.saturating_add(length) } else { bound }).clamp(0, length);
        let (start, end) = (at(one(starts)?), at(one(ends)?));
        Some(Self { whole, axis, start, end: end.max(start), length })
    }
}
