//! Squares, quotients and the factors beside them, computed in another order.
//!
//! In floating point each order of operations rounds differently, by the last bits. So a model rewritten this way
//! says how far apart two models are that do not differ, which is the noise floor of every comparison.

use crate::error::Result;
use crate::graph::{View, is};
use crate::proto::{GraphProto, NodeProto};
use crate::{order, tensor};

/// Rewrites squares and quotients that are multiplied: `c·x²` into `(c·x)·x`, any other `x²` into `x·x`, and
/// `c·(x / s)` into `(c·x) / s`. Returns how many nodes were rewritten.
///
/// Values that survive keep their names. A square or a quotient that anything but one Mul uses is left, but that a
/// square alone becomes a product.
///
/// # Errors
/// [`ErrorKind::Graph`](crate::ErrorKind::Graph) for a graph with a cycle.
pub fn reassociate(graph: &mut GraphProto) -> Result<usize> {
    let edits: Vec<Edit> = {
        let view = View::new(graph);
        (0..graph.node.len()).filter_map(|index| edit(index, &view)).collect()
    };
    for edit in &edits {
        edit.apply(graph);
    }
    // A factor may be made after the square or quotient that it now goes into.
    order::sort(graph)?;
    Ok(edits.len())
}

/// One rewrite, planned on the graph as it was: no two plans touch the same node.
enum Edit {
    /// The node at `index` becomes `x·x`.
    Square { index: usize, x: String },
    /// The node at `index`, an operation on `x`, and the Mul by `factor` at `product` that uses it change places.
    /// What is done last has the operands (`factor`·`x`, `last`).
    Swap { index: usize, product: usize, factor: String, x: String, op: &'static str, last: String },
}

fn edit(index: usize, view: &View<'_>) -> Option<Edit> {
    let node = &view.graph.node[index];
    let [x, second] = node.input.as_slice() else { return None };
    let (op, last) = match node.op_type() {
        "Pow" if is(node, "Pow") && is_two(second, view) => ("Mul", x),
        "Div" if is(node, "Div") => ("Div", second),
        _ => return None,
    };
    let value = node.output.first()?;
    let swap = product(value, view).map(|(product, factor)| Edit::Swap {
        index,
        product,
        factor: factor.to_owned(),
        x: x.clone(),
        op,
        last: last.clone(),
    });
    swap.or_else(|| (op == "Mul").then(|| Edit::Square { index, x: x.clone() }))
}

/// The one user of `value`, if it is a Mul by something that is not made by a rewritten node itself; and that factor.
fn product<'a>(value: &str, view: &View<'a>) -> Option<(usize, &'a str)> {
    let product = view.only_consumer(value).filter(|node| is(node, "Mul"))?;
    let factor = match product.input.as_slice() {
        [a, b] if a == value && b != value => b,
        [a, b] if b == value && a != value => a,
        _ => return None,
    };
    // Two plans for one Mul would contradict each other.
    let taken = |node: &NodeProto| is(node, "Pow") || is(node, "Div");
    if view.producer(factor).is_some_and(taken) {
        return None;
    }
    Some((view.producer_index(product.output.first()?)?, factor))
}

/// Whether `value` is the stored scalar 2.
fn is_two(value: &str, view: &View<'_>) -> bool {
    let scalar = view.initializer(value).filter(|tensor| tensor.dims.is_empty() && !view.is_input(value));
    let values = scalar.and_then(|tensor| tensor::to_f32(tensor).ok());
    values.is_some_and(|values| values == [2.0])
}

impl Edit {
    fn apply(&self, graph: &mut GraphProto) {
        match self {
            Self::Square { index, x } => {
                let node = &mut graph.node[*index];
                node.op_type = Some("Mul".into());
                node.input = vec![x.clone(), x.clone()];
            }
            Self::Swap { index, product, factor, x, op, last } => {
                let first = &mut graph.node[*index];
                let old = first.output[0].clone();
                // Its value is another one now, so it gets another name.
                let scaled = format!("{old}/scaled");
                first.op_type = Some("Mul".into());
                first.input = vec![factor.clone(), x.clone()];
                first.output[0].clone_from(&scaled);
                let second = &mut graph.node[*product];
                second.op_type = Some((*op).into());
                second.input = vec![scaled, last.clone()];
                graph.value_info.retain(|value| value.name() != old);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check;
    use crate::graph::node;
    use crate::proto::ValueInfoProto;

    fn graph(nodes: Vec<NodeProto>) -> GraphProto {
        let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
        GraphProto {
            node: nodes,
            initializer: vec![tensor::from_f32("two", &[], &[2.0]), tensor::from_f32("three", &[], &[3.0])],
            input: ["x", "s", "c"].map(value).into(),
            output: vec![value("y")],
            value_info: vec![value("p")],
            ..Default::default()
        }
    }

    fn rewritten(nodes: Vec<NodeProto>) -> (usize, Vec<String>) {
        let mut graph = graph(nodes);
        let count = reassociate(&mut graph).unwrap();
        check::validate(&graph).unwrap();
        let shown = graph
            .node
            .iter()
            .map(|node| format!("{} = {}({})", node.output[0], node.op_type(), node.input.join(", ")));
        (count, shown.collect())
    }

    #[test]
    fn a_factor_goes_into_the_square_and_under_the_quotient() {
        let snake = vec![node("Pow", "", &["x", "two"], &["p"]), node("Mul", "", &["c", "p"], &["y"])];
        assert_eq!(
            rewritten(snake),
            (1, vec!["p/scaled = Mul(c, x)".to_owned(), "y = Mul(p/scaled, x)".to_owned()])
        );
        let norm = vec![node("Div", "", &["x", "s"], &["p"]), node("Mul", "", &["p", "c"], &["y"])];
        assert_eq!(
            rewritten(norm),
            (1, vec!["p/scaled = Mul(c, x)".to_owned(), "y = Div(p/scaled, s)".to_owned()])
        );
    }

    #[test]
    fn a_factor_made_late_is_moved_in_front() {
        let late = vec![
            node("Pow", "", &["x", "two"], &["p"]),
            node("Neg", "", &["c"], &["late"]),
            node("Mul", "", &["late", "p"], &["y"]),
        ];
        let (count, nodes) = rewritten(late);
        assert_eq!(count, 1);
        assert_eq!(nodes, ["late = Neg(c)", "p/scaled = Mul(late, x)", "y = Mul(p/scaled, x)"]);
    }

    #[test]
    fn a_square_that_stands_alone_becomes_a_product() {
        assert_eq!(
            rewritten(vec![node("Pow", "", &["x", "two"], &["p"]), node("Add", "", &["p", "c"], &["y"])]),
            (1, vec!["p = Mul(x, x)".to_owned(), "y = Add(p, c)".to_owned()])
        );
    }

    #[test]
    fn what_is_used_twice_or_is_no_square_is_left() {
        for nodes in [
            vec![node("Pow", "", &["x", "three"], &["p"]), node("Mul", "", &["c", "p"], &["y"])],
            vec![node("Pow", "", &["x", "c"], &["p"]), node("Mul", "", &["c", "p"], &["y"])],
            vec![node("Div", "", &["x", "s"], &["p"]), node("Mul", "", &["p", "p"], &["y"])],
            vec![
                node("Div", "", &["x", "s"], &["p"]),
                node("Mul", "", &["p", "c"], &["q"]),
                node("Add", "", &["p", "q"], &["y"]),
            ],
            // Both factors are quotients: neither can go under the other without contradiction.
            vec![
                node("Div", "", &["x", "s"], &["p"]),
                node("Div", "", &["c", "s"], &["q"]),
                node("Mul", "", &["p", "q"], &["y"]),
            ],
        ] {
            let before = graph(nodes.clone());
            let mut after = before.clone();
            assert_eq!(reassociate(&mut after).unwrap(), 0, "{nodes:?}");
            assert_eq!(after, before);
        }
    }
}
