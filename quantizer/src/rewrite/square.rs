//! Squares as products.

use super::facts::Facts;
use crate::error::Result;
use crate::graph::{View, is};
use crate::proto::GraphProto;

/// Turns Pow(x, 2) into Mul(x, x): a correctly rounded square is that product. Returns how many.
///
/// The exponent has to be a stored scalar, for one with dimensions may give the result more of them than `x` has.
///
/// # Errors
/// None.
pub fn square(graph: &mut GraphProto) -> Result<usize> {
    let squares: Vec<usize> = {
        let view = View::new(graph);
        let facts = Facts::new(&view);
        let is_square = |&index: &usize| {
            let node = &view.graph.node[index];
            is(node, "Pow") && node.input.len() == 2 && facts.is_two(&node.input[1])
        };
        (0..graph.node.len()).filter(is_square).collect()
    };
    for &index in &squares {
        let node = &mut graph.node[index];
        node.op_type = Some("Mul".into());
        node.input = vec![node.input[0].clone(); 2];
    }
    Ok(squares.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::node;
    use crate::proto::{NodeProto, ValueInfoProto};
    use crate::tensor::{from_f32, from_i64};

    fn graph(pow: NodeProto) -> GraphProto {
        let value = |name: &str| ValueInfoProto { name: Some(name.into()), ..Default::default() };
        GraphProto {
            node: vec![pow],
            initializer: vec![
                from_f32("two", &[], &[2.0]),
                from_i64("whole", &[], &[2]),
                from_f32("three", &[], &[3.0]),
                from_f32("row", &[1], &[2.0]),
                from_f32("default", &[], &[2.0]),
            ],
            input: vec![value("x"), value("default")],
            output: vec![value("y")],
            ..Default::default()
        }
    }

    #[test]
    fn a_square_is_a_product() {
        for two in ["two", "whole"] {
            let mut squared = graph(node("Pow", "p", &["x", two], &["y"]));
            assert_eq!(square(&mut squared).unwrap(), 1);
            assert_eq!(squared.node, [node("Mul", "p", &["x", "x"], &["y"])]);
            assert_eq!(square(&mut squared).unwrap(), 0);
        }
    }

    #[test]
    fn other_powers_stay() {
        let foreign = NodeProto { domain: Some("custom".into()), ..node("Pow", "p", &["x", "two"], &["y"]) };
        let exponents = ["three", "row", "default", "x"];
        let powers = exponents.map(|exponent| node("Pow", "p", &["x", exponent], &["y"]));
        for pow in powers.into_iter().chain([foreign]) {
            let before = graph(pow);
            let mut after = before.clone();
            assert_eq!(square(&mut after).unwrap(), 0, "{:?}", before.node);
            assert_eq!(after, before);
        }
    }
}
