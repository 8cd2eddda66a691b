//! Nodes that do nothing, alone or together with the one before.

use super::facts::{Dims, Facts};
use super::redirect::Redirections;
use super::shape::permutation;
use crate::error::Result;
use crate::graph::{View, attribute, integer, is};
use crate::proto::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};
use crate::{dead, order};

/// Removes what gives back its input: Identity, Dropout outside of training (opset 7 and later), Concat of one part,
/// Cast to the type that the value has, Transpose that keeps the order, Squeeze and Unsqueeze of the same axes one
/// after the other, and every chain of Reshape, Squeeze, Unsqueeze and Flatten that provably ends in the shape it
/// started from. Two transpositions in a row become one, and a Reshape starts from what the one before started from,
/// where nothing else needs what is in between. Returns how many nodes were removed or changed.
///
/// A value that the graph gives to the caller keeps the node that makes it.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn redundant(graph: &mut GraphProto) -> Result<usize> {
    order::sort(graph)?;
    let mut count = 0;
    // What one round removes brings others together: every round takes nodes away or shortens what is behind them.
    loop {
        let found = round(graph);
        if found == 0 {
            return Ok(count);
        }
        dead::remove(graph);
        count += found;
    }
}

fn round(graph: &mut GraphProto) -> usize {
    let mut same = Redirections::default();
    let mut merged: Vec<(usize, Merged)> = Vec::new();
    {
        let view = View::new(graph);
        let facts = Facts::new(&view);
        for (index, node) in view.graph.node.iter().enumerate() {
            let [output, rest @ ..] = node.output.as_slice() else { continue };
            let is_used = |value: &String| facts.is_output(value) || view.consumers(value).next().is_some();
            if rest.iter().any(is_used) {
                continue;
            }
            match source(node, &facts) {
                Some(source) if !facts.is_output(output) => same.add(output, source),
                _ => merged.extend(merge(node, &facts).map(|merged| (index, merged))),
            }
        }
    }
    let count = same.len() + merged.len();
    for (index, Merged { input, permutation }) in merged {
        let node = &mut graph.node[index];
        node.input[0] = input;
        if let Some(permutation) = permutation {
            node.attribute = vec![AttributeProto {
                name: Some("perm".into()),
                ints: permutation.iter().map(|&axis| axis as i64).collect(),
                r#type: Some(AttributeType::Ints.into()),
                ..Default::default()
            }];
        }
    }
    same.apply(graph);
    count
}

/// The value that the first output of `node` provably equals.
fn source<'a>(node: &'a NodeProto, facts: &Facts<'a>) -> Option<&'a str> {
    let input = node.input.first().filter(|name| !name.is_empty())?;
    if is(node, "Identity") || (is(node, "Concat") && node.input.len() == 1) || is_idle_dropout(node, facts) {
        return Some(input);
    }
    if is(node, "Cast") {
        let to = facts.element(input)?;
        return (integer(node, "to", 0) == i64::from(i32::from(to))).then_some(input.as_str());
    }
    if is(node, "Transpose") {
        let order = order_of(node, facts)?;
        let Some(inner) = facts.view.producer(input).filter(|inner| is(inner, "Transpose")) else {
            return is_in_order(&order).then_some(input.as_str());
        };
        let both = composed(&order_of(inner, facts)?, &order)?;
        if is_in_order(&order) {
            return Some(input);
        }
        return inner.input.first().filter(|_| is_in_order(&both)).map(String::as_str);
    }
    keeps_elements(node).then(|| unshaped(node, facts))?
}

/// For a node that only changes the shape: a value in front of it, perhaps behind more such nodes, of the same shape.
fn unshaped<'a>(node: &'a NodeProto, facts: &Facts<'a>) -> Option<&'a str> {
    let input = node.input.first()?;
    let before = facts.view.producer(input);
    if is(node, "Reshape") && is_shape_of_input(node, facts) {
        return Some(input);
    }
    if let Some(before) = before.filter(|before| is_pair(before, node) || is_pair(node, before))
        && facts.axes(before)? == facts.axes(node)?
    {
        return before.input.first().map(String::as_str);
    }
    let after = facts.dims(&node.output[0])?;
    let chain = std::iter::successors(Some(node), |node| {
        facts
            .view
            .producer(&node.input[0])
            .filter(|before| keeps_elements(before) && !before.input.is_empty())
    });
    chain
        .map(|node| node.input[0].as_str())
        .find(|source| facts.dims(source).is_some_and(|before| is_same_shape(&before, &after)))
}

fn keeps_elements(node: &NodeProto) -> bool {
    ["Reshape", "Squeeze", "Unsqueeze", "Flatten"].iter().any(|op| is(node, op))
}

fn is_pair(first: &NodeProto, second: &NodeProto) -> bool {
    is(first, "Squeeze") && is(second, "Unsqueeze")
}

/// Whether two shapes of one number of elements are equal: all dimensions but one are known to be, and are not 0.
fn is_same_shape(before: &Dims, after: &Dims) -> bool {
    let known = |(a, b): (&Option<i64>, &Option<i64>)| a.is_some() && b.is_some();
    let open = before.iter().zip(after).filter(|&pair| !known(pair)).count();
    before.len() == after.len()
        && open <= 1
        && before.iter().zip(after).all(|(a, b)| a.is_none() || b.is_none() || a == b)
        && (open == 0 || before.iter().chain(after).all(|&size| size != Some(0)))
}

/// Whether a Reshape asks, dimension by dimension, for what its input has.
fn is_shape_of_input(node: &NodeProto, facts: &Facts<'_>) -> bool {
    let wanted = node.input.get(1).and_then(|shape| facts.integers(shape));
    let (Some(wanted), Some(dims)) = (wanted, facts.dims(&node.input[0])) else { return false };
    let copies = integer(node, "allowzero", 0) == 0;
    let fits = |(&size, dim): (&i64, &Option<i64>)| size == -1 || (size == 0 && copies) || *dim == Some(size);
    wanted.len() == dims.len()
        && wanted.iter().zip(&dims).all(fits)
        && wanted.iter().filter(|&&size| size == -1).count() <= 1
}

fn is_idle_dropout(node: &NodeProto, facts: &Facts<'_>) -> bool {
    let is_trained = match node.input.get(2).filter(|name| !name.is_empty()) {
        Some(training) => facts.integers(training) != Some(vec![0]),
        None => attribute(node, "is_test").is_some(),
    };
    is(node, "Dropout") && !is_trained
}

/// A node that takes over what the one before it does.
struct Merged {
    input: String,
    permutation: Option<Vec<usize>>,
}

fn merge(node: &NodeProto, facts: &Facts<'_>) -> Option<Merged> {
    let input = node.input.first()?;
    let before = facts.view.producer(input)?;
    // Where something else needs it, the node before would stay, and nothing would be won.
    facts.view.only_consumer(input)?;
    let is_both = is(node, "Transpose") && is(before, "Transpose");
    let permutation = if is_both {
        Some(composed(&order_of(before, facts)?, &order_of(node, facts)?)?)
    } else if is(node, "Reshape") && keeps_elements(before) {
        let wanted = facts.integers(node.input.get(1)?)?;
        // A 0 would copy a dimension of another value.
        let is_absolute = integer(node, "allowzero", 0) != 0 || !wanted.contains(&0);
        is_absolute.then_some(None)?
    } else {
        return None;
    };
    Some(Merged { input: before.input.first()?.clone(), permutation })
}

/// The permutation of a Transpose; without the attribute it depends on the number of dimensions.
fn order_of(node: &NodeProto, facts: &Facts<'_>) -> Option<Vec<usize>> {
    let rank = match attribute(node, "perm") {
        Some(attribute) => attribute.ints.len(),
        None => facts.dims(node.input.first()?)?.len(),
    };
    permutation(node, rank)
}

/// One permutation for `first` and then `second`.
fn composed(first: &[usize], second: &[usize]) -> Option<Vec<usize>> {
    (first.len() == second.len()).then(|| second.iter().map(|&axis| first[axis]).collect())
}

fn is_in_order(order: &[usize]) -> bool {
    order.iter().enumerate().all(|(axis, &from)| axis == from)
}
