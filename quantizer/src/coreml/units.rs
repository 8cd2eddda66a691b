//! Dimensions of 1, and reshapes that do nothing but move them.

use super::edit::{Draft, is_float, position, replace};
use crate::error::Result;
use crate::graph::{attribute, integer, integer_attribute, is, node};
use crate::proto::{GraphProto, NodeProto};
use crate::rewrite::Facts;

/// Turns Gather of a single index without dimensions into Squeeze, where the axis has but one place, or into Gather of a
/// list of one and Squeeze; and Reshape that provably only adds and drops dimensions of 1 into Squeeze and Unsqueeze. Returns
/// how many.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn units(graph: &mut GraphProto) -> Result<usize> {
    let mut count = 0;
    // What one round makes has a shape by which the next may know more.
    loop {
        let found = replace(graph, |node, draft| gathered(node, draft).or_else(|| reshaped(node, draft)))?;
        count += found;
        if found == 0 {
            return Ok(count);
        }
    }
}

fn gathered(node: &NodeProto, draft: &mut Draft<'_, '_>) -> Option<()> {
    let [data, indices] = node.input.as_slice() else { return None };
    if !is(node, "Gather") || !is_float(data, draft.facts) || draft.facts.tensor(data).is_some() {
        return None;
    }
    let index = draft.facts.tensor(indices).filter(|stored| stored.dims.is_empty())?;
    let &[index] = crate::tensor::to_i64(index).ok()?.as_slice() else { return None };
    let dims = draft.facts.dims(data)?;
    let axis = position(integer(node, "axis", 0), dims.len())?;
    let squeezed = draft.integers(&[axis as i64]);
    if dims[axis] == Some(1) {
        draft.finish("Squeeze", &[data, &squeezed]);
        return Some(());
    }
    let list = draft.integers(&[index]);
    let one = draft.make("Gather", &[data, &list]);
    draft.with(integer_attribute("axis", axis as i64));
    draft.finish("Squeeze", &[&one, &squeezed]);
    Some(())
}

fn reshaped(reshape: &NodeProto, draft: &mut Draft<'_, '_>) -> Option<()> {
    let [data, shape] = reshape.input.as_slice() else { return None };
    if !is(reshape, "Reshape") || integer(reshape, "allowzero", 0) != 0 {
        return None;
    }
    let dims = draft.facts.dims(data)?;
    let wanted = wanted(shape, data, draft.facts)?;
    let (mut from, mut to) = (0, 0);
    let (mut dropped, mut added) = (Vec::new(), Vec::new());
    loop {
        let is_same = match (dims.get(from), wanted.get(to)) {
            (None, None) => break,
            (Some(Some(1)), Some(Size::Is(1))) => true,
            (Some(Some(1)), _) => {
                dropped.push(from as i64);
                from += 1;
                continue;
            }
            (_, Some(Size::Is(1))) => {
                added.push(to as i64);
                to += 1;
                continue;
            }
            // What is worked out is what is left, since all others are the same.
            (Some(_), Some(Size::Rest)) => true,
            (Some(_), Some(&Size::Of(place))) => place == from,
            (Some(size), Some(&Size::Is(length))) => *size == Some(length),
            _ => false,
        };
        if !is_same {
            return None;
        }
        (from, to) = (from + 1, to + 1);
    }
    let [dropped_axes, added_axes] = [&dropped, &added].map(|axes| draft.integers(axes));
    match (dropped.is_empty(), added.is_empty()) {
        (true, true) => draft.finish_with(node("Identity", "", &[data], &[])),
        (true, _) => draft.finish("Unsqueeze", &[data, &added_axes]),
        (false, true) => draft.finish("Squeeze", &[data, &dropped_axes]),
        (false, false) => {
            let bare = draft.make("Squeeze", &[data, &dropped_axes]);
            draft.finish("Unsqueeze", &[&bare, &added_axes]);
        }
    }
    Some(())
}

/// A length that a Reshape asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    /// This one.
    Is(i64),
    /// That of this dimension of the data.
    Of(usize),
    /// What is left.
    Rest,
}

/// What `shape` asks of `data`: it is stored, or put together from stored numbers and single dimensions of values.
fn wanted(shape: &str, data: &str, facts: &Facts<'_>) -> Option<Vec<Size>> {
    let known = facts.dims(data)?;
    let mut sizes = Vec::new();
    let concat = facts.view.producer(shape).filter(|node| is(node, "Concat"));
    let parts: Vec<&str> = concat.map_or(vec![shape], |it| it.input.iter().map(String::as_str).collect());
    for part in parts {
        match facts.integers(part) {
            Some(stored) => {
                for size in stored {
                    sizes.push(match size {
                        // A 0 copies the dimension of the same place.
                        0 => Size::Of(sizes.len()),
                        -1 => Size::Rest,
                        size => Size::Is(size),
                    });
                }
            }
            None => sizes.push(dimension(part, data, facts)?),
        }
    }
    let of = |size| match size {
        Size::Of(place) => known.get(place).copied().flatten().map_or(size, Size::Is),
        _ => size,
    };
    Some(sizes.into_iter().map(of).collect())
}

/// The one dimension that a value holds.
fn dimension(value: &str, data: &str, facts: &Facts<'_>) -> Option<Size> {
    let made = |value: &str, op: &str| facts.view.producer(value).filter(|node| is(node, op));
    let gather = made(&made(value, "Unsqueeze")?.input[0], "Gather")?;
    let &[index] = facts.integers(gather.input.get(1)?)?.as_slice() else { return None };
    let shape = made(&gather.input[0], "Shape").filter(|shape| is_whole(shape))?;
    let of = facts.dims(&shape.input[0])?;
    let place = position(index, of.len())?;
    match of[place] {
        Some(length) => Some(Size::Is(length)),
        None => (shape.input[0] == data).then_some(Size::Of(place)),
    }
}

fn is_whole(shape: &NodeProto) -> bool {
    integer(shape, "start", 0) == 0 && attribute(shape, "end").is_none()
}
