//! Padding of kinds that the provider lacks, or has for static lengths only.

use super::edit::{integers_or, is_within_dimensions, replace, text};
use crate::error::Result;
use crate::graph::{attribute, integer_attribute, is, node};
use crate::proto::{GraphProto, NodeProto};
use crate::{graph, tensor};

/// Turns the output padding of one-dimensional transposed convolutions, which is room at the end that no input reaches, into
/// taps of 0 at the end of the kernel, which reach there. Returns how many. The bits are the same for finite numbers.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn output_padding(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |convolution, draft| {
        let is_plain = is(convolution, "ConvTranspose")
            && text(convolution, "auto_pad", "NOTSET") == "NOTSET"
            && attribute(convolution, "output_shape").is_none()
            && integers_or(convolution, "dilations", 1, 1) == [1];
        let &[added] = integers_or(convolution, "output_padding", 0, 1).as_slice() else { return None };
        let [x, weight, bias @ ..] = convolution.input.as_slice() else { return None };
        let stored = draft.facts.tensor(weight).filter(|_| is_plain && added > 0)?;
        let &[channels, per_group, taps] = tensor::shape(stored).as_slice() else { return None };
        let longer = taps + added as usize;
        let values = tensor::to_f32(stored).ok()?;
        let mut padded = vec![0.0; channels * per_group * longer];
        for (from, to) in values.chunks(taps).zip(padded.chunks_mut(longer)) {
            to[..taps].copy_from_slice(from);
        }
        let element = tensor::element_type(stored);
        let kernel = draft.tensor(&format!("{weight}/padded"), |name| {
            tensor::from_float(name, element, &[channels, per_group, longer], &padded)
        });
        let mut last = NodeProto { input: [&[x.clone(), kernel], bias].concat(), ..convolution.clone() };
        last.attribute.retain(|attribute| !matches!(attribute.name(), "output_padding" | "kernel_shape"));
        last.attribute.push(super::edit::integers_attribute("kernel_shape", &[longer as i64]));
        draft.finish_with(last);
        Some(())
    })
}

/// Turns Pad that reflects along one axis into a Gather of what is reflected at either end, and Concat. Returns how many.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn reflections(graph: &mut GraphProto) -> Result<usize> {
    replace(graph, |pad, draft| {
        if !is(pad, "Pad") || text(pad, "mode", "constant") != "reflect" || pad.input.len() > 3 {
            return None;
        }
        let x = Some(&pad.input[0]).filter(|x| is_within_dimensions(x, draft.facts))?;
        let pads = draft.facts.integers(pad.input.get(1)?)?;
        let rank = pads.len() / 2;
        let mut padded = (0..rank).filter(|&axis| pads[axis] != 0 || pads[rank + axis] != 0);
        let (Some(axis), None) = (padded.next(), padded.next()) else { return None };
        let (before, behind) = (pads[axis], pads[rank + axis]);
        if before < 0 || behind < 0 {
            return None;
        }
        let mut gather = |places: Vec<i64>| {
            let places = Some(places).filter(|places| !places.is_empty())?;
            let indices = draft.integers(&places);
            let made = draft.make("Gather", &[x, &indices]);
            draft.with(graph::integer_attribute("axis", axis as i64));
            Some(made)
        };
        let front = gather((1..=before).rev().collect());
        let back = gather((1..=behind).map(|place| -1 - place).collect());
        let parts: Vec<&str> = [front.as_deref(), Some(x), back.as_deref()].into_iter().flatten().collect();
        let mut whole = node("Concat", "", &parts, &[]);
        whole.attribute.push(integer_attribute("axis", axis as i64));
        draft.finish_with(whole);
        Some(())
    })
}
