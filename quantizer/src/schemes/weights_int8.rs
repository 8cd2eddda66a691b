//! `weights-int8`: every large weight stored as INT8, a few with some bits more, all computation in float.

use std::collections::BTreeMap;

use rayon::prelude::*;
use regex::Regex;

use super::storage::{Bits, store};
use super::{Reason, Scheme, Summary};
use crate::error::Result;
use crate::fold::weight_uses;
use crate::graph::{View, integer, is, nested_mut};
use crate::names::Names;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::tensor;

/// Stores a weight `w` as `Mul(Cast(int8 initializer), scale)`, which every runtime's ordinary constant
/// folding turns back into a float constant at load, before execution providers partition the graph. Where a
/// model is most sensitive, some bits more stand beside the int8, packed.
///
/// `DequantizeLinear` is avoided on purpose: ONNX Runtime does not fold it by default but runs it on every
/// call, and in front of a `MatMul` turns it into an operator with quantized activations.
pub struct WeightsInt8 {
    /// Weights with fewer elements stay float: they weigh nothing and often matter most.
    pub min_elements: usize,
    /// Weights whose name, or the name of a node that uses them, matches stay float.
    pub exclude: Option<Regex>,
    /// Weights that are stored finer than INT8, by a pattern as in `exclude`; the first that matches decides, and of
    /// several users of a weight the first in the graph.
    pub finer: Vec<(Regex, Bits)>,
}

impl Scheme for WeightsInt8 {
    fn name(&self) -> &'static str {
        "weights-int8"
    }

    fn apply(&self, graph: &mut GraphProto) -> Result<Summary> {
        let mut summary = Summary::default();
        let mut names = Names::of(graph);
        self.within(graph, &mut names, &mut summary)?;
        Ok(summary)
    }

    fn is_for_functions(&self) -> bool {
        true
    }
}

/// How a weight is stored, or why it is not.
type Choice = Result<(std::ops::Range<usize>, Bits), Reason>;

impl WeightsInt8 {
    /// Stores the weights that `graph` has itself, whoever uses them, and then those of the graphs
    /// within.
    fn within(&self, graph: &mut GraphProto, names: &mut Names, summary: &mut Summary) -> Result<()> {
        let view = View::new(graph);
        // By position among the initializers; a weight that several nodes share is stored once.
        let mut wanted: BTreeMap<usize, (&NodeProto, Choice)> = BTreeMap::new();
        for used in weight_uses(graph) {
            let Some(index) = view.initializer_index(used.name) else { continue };
            let weight = &graph.initializer[index];
            if !tensor::is_float(tensor::element_type(weight)) {
                continue;
            }
            let choice = if view.is_input(weight.name()) {
                Err(Reason::Input)
            } else {
                self.choose(used.node, weight)
            };
            // Users that disagree about the channels, or one that is excluded, keep it float.
            wanted
                .entry(index)
                .and_modify(|(_, known)| match (&*known, &choice) {
                    (Ok((known_axes, _)), Ok((axes, _))) if known_axes != axes => {
                        *known = Err(Reason::Disputed);
                    }
                    (Ok(_), Err(reason)) => *known = Err(*reason),
                    _ => {}
                })
                .or_insert((used.node, choice));
        }
        let stored: Vec<_> = wanted
            .into_par_iter()
            .map(|(index, (node, choice))| {
                let stored = match choice {
                    Ok((axes, bits)) => store(&graph.initializer[index], axes, bits)?.map_err(Reason::from),
                    Err(reason) => Err(reason),
                };
                Ok((index, node, stored))
            })
            .collect::<Result<_>>()?;

        let mut put = Vec::with_capacity(stored.len());
        for (index, node, stored) in stored {
            let weight = &graph.initializer[index];
            match stored {
                Ok(mut stored) => {
                    stored.settle(names, weight.name());
                    summary.stored(node.op_type(), stored.opset);
                    put.push((index, stored));
                }
                Err(reason) => summary.leave(weight, node, reason),
            }
        }
        let mut nodes = Vec::with_capacity(2 * put.len() + graph.node.len());
        for (index, stored) in put {
            nodes.extend(stored.nodes);
            graph.initializer[index] = stored.levels;
            graph.initializer.extend(stored.others);
        }
        nodes.append(&mut graph.node);
        graph.node = nodes;
        graph.node.iter_mut().flat_map(nested_mut).try_for_each(|inner| self.within(inner, names, summary))
    }

    fn choose(&self, node: &NodeProto, weight: &TensorProto) -> Choice {
        let elements: i64 = weight.dims.iter().product();
        let matches = |pattern: &Regex| pattern.is_match(node.name()) || pattern.is_match(weight.name());
        if (elements as usize) < self.min_elements || weight.dims.contains(&0) {
            return Err(Reason::Small);
        }
        if self.exclude.as_ref().is_some_and(matches) {
            return Err(Reason::Excluded);
        }
        if node.attribute.iter().any(|attribute| !attribute.ref_attr_name().is_empty()) {
            return Err(Reason::Attributes);
        }
        channel_axes(node, weight).map(|axes| (axes, self.bits(node, weight))).ok_or(Reason::Shape)
    }

    fn bits(&self, node: &NodeProto, weight: &TensorProto) -> Bits {
        let matches = |pattern: &Regex| pattern.is_match(node.name()) || pattern.is_match(weight.name());
        self.finer.iter().find(|(pattern, _)| matches(pattern)).map_or(Bits::Eight, |&(_, bits)| bits)
    }
}

/// The axes of a weight along which each position has a scale of its own: its output channels.
///
/// `None` for a shape that the operator does not take.
fn channel_axes(node: &NodeProto, weight: &TensorProto) -> Option<std::ops::Range<usize>> {
    let rank = weight.dims.len();
    if is(node, "Conv") {
        // [out, in / group, kernel …]
        (rank >= 3).then_some(0..1)
    } else if is(node, "ConvTranspose") {
        // [in, out / group, kernel …]; with groups the input axis decides the group, so both count.
        (rank >= 3).then_some(if integer(node, "group", 1) == 1 { 1..2 } else { 0..2 })
    } else if is(node, "MatMul") {
        // [… in, out]
        (rank >= 2).then_some(rank - 1..rank)
    } else if is(node, "Gemm") {
        (rank == 2).then_some(if integer(node, "transB", 0) == 1 { 0..1 } else { 1..2 })
    } else if is(node, "LSTM") || is(node, "GRU") || is(node, "RNN") {
        // [directions, gates·hidden, in]: one scale per gate row of each direction.
        (rank == 3).then_some(0..2)
    } else if is(node, "Gather") {
        // [rows, width], looked up row by row.
        (rank == 2 && integer(node, "axis", 0) == 0).then_some(0..1)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{integer_attribute, node};
    use crate::proto::{ValueInfoProto, tensor_proto::DataType};
    use crate::tensor::{from_f32, to_f32, to_i64};

    fn value(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: Some(name.into()), ..Default::default() }
    }

    fn scheme(exclude: Option<&str>) -> WeightsInt8 {
        WeightsInt8 {
            min_elements: 2,
            exclude: exclude.map(|text| super::super::pattern(text).unwrap()),
            finer: vec![],
        }
    }

    fn one_node(op: NodeProto, dims: &[usize], values: &[f32]) -> GraphProto {
        GraphProto {
            node: vec![op],
            initializer: vec![from_f32("w", dims, values)],
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        }
    }

    #[test]
    fn each_operator_has_its_scales_along_the_right_axis() {
        let grouped = {
            let mut op = node("ConvTranspose", "n", &["x", "w"], &["y"]);
            op.attribute.push(integer_attribute("group", 2));
            op
        };
        let transposed = {
            let mut op = node("Gemm", "n", &["x", "w"], &["y"]);
            op.attribute.push(integer_attribute("transB", 1));
            op
        };
        let plain = |op: &str| node(op, "n", &["x", "w"], &["y"]);
        let cases = [
            (plain("Conv"), vec![2, 3, 2], vec![2, 1, 1]),
            (plain("ConvTranspose"), vec![2, 3, 2], vec![1, 3, 1]),
            (grouped, vec![2, 3, 2], vec![2, 3, 1]),
            (plain("MatMul"), vec![4, 3], vec![1, 3]),
            (plain("Gemm"), vec![4, 3], vec![1, 3]),
            (transposed, vec![4, 3], vec![4, 1]),
            (plain("LSTM"), vec![2, 4, 3], vec![2, 4, 1]),
            (plain("GRU"), vec![1, 3, 4], vec![1, 3, 1]),
            (plain("RNN"), vec![1, 3, 4], vec![1, 3, 1]),
            (node("Gather", "n", &["w", "x"], &["y"]), vec![4, 3], vec![4, 1]),
        ];
        for (op, dims, scale_dims) in cases {
            let case = format!("{op:?}");
            let count = dims.iter().product::<usize>();
            let values: Vec<f32> = (0..count).map(|i| (i as f32 * 1.7).sin()).collect();
            let mut graph = one_node(op, &dims, &values);
            let summary = scheme(None).apply(&mut graph).unwrap();
            assert_eq!((summary.quantized, summary.left.len()), (1, 0), "{case}");
            let scale = &graph.initializer[1];
            assert_eq!(tensor::shape(scale), scale_dims, "{case}");
            // What a runtime folds at load is close to the weight: half a step at the most, plus clipping.
            let (levels, scales) = (to_i64(&graph.initializer[0]).unwrap(), to_f32(scale).unwrap());
            let largest = scales.iter().fold(0f32, |largest, &scale| largest.max(scale));
            graph.output = vec![value("w")];
            crate::fold::fold_weights(&mut graph).unwrap();
            assert_eq!(levels.len(), count);
            let folded = graph.initializer.iter().find(|tensor| tensor.name() == "w").expect(&case);
            for (found, expected) in to_f32(folded).unwrap().iter().zip(&values) {
                assert!((found - expected).abs() < 5.0 * largest, "{case}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn a_shared_weight_is_stored_once_and_users_are_untouched() {
        let mut graph = one_node(node("MatMul", "a", &["x", "w"], &["h"]), &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        graph.node.push(node("MatMul", "b", &["h", "w"], &["y"]));
        let before = graph.node.clone();
        assert_eq!(scheme(None).apply(&mut graph).unwrap().quantized, 1);
        assert_eq!(graph.node[2..], before);
        assert_eq!(graph.initializer.len(), 2);
    }

    #[test]
    fn small_excluded_and_disputed_weights_stay() {
        let conv = || one_node(node("Conv", "conv_post", &["x", "w"], &["y"]), &[2, 1, 1], &[1.0, 2.0]);
        let mut excluded = conv();
        let left = |summary: Summary| {
            summary.left.into_iter().map(|left| (left.name, left.reason)).collect::<Vec<_>>()
        };
        let w = |reason| vec![("w".to_owned(), reason)];
        assert_eq!(left(scheme(Some("CONV_post")).apply(&mut excluded).unwrap()), w(Reason::Excluded));
        let mut small = conv();
        let summary = WeightsInt8 { min_elements: 3, ..scheme(None) }.apply(&mut small).unwrap();
        assert_eq!(left(summary), w(Reason::Small));
        let mut disputed = one_node(node("MatMul", "a", &["x", "w"], &["h"]), &[2, 2], &[1.0; 4]);
        disputed.node.push(node("Gather", "b", &["w", "i"], &["y"]));
        assert_eq!(left(scheme(None).apply(&mut disputed).unwrap()), w(Reason::Disputed));
        for graph in [excluded, small, disputed] {
            assert!(graph.initializer.iter().all(|tensor| tensor::element_type(tensor) == DataType::Float));
        }
    }

    #[test]
    fn float16_weights_stay_float16_when_folded() {
        let mut graph = one_node(node("MatMul", "a", &["x", "w"], &["y"]), &[2, 2], &[]);
        graph.initializer[0] = tensor::from_f16("w", &[2, 2], &[1.0, -0.25, 0.5, 0.125]);
        scheme(None).apply(&mut graph).unwrap();
        crate::fold::fold_weights(&mut graph).unwrap();
        let folded = graph.initializer.iter().find(|tensor| tensor.name() == "w").unwrap();
        assert_eq!(tensor::element_type(folded), DataType::Float16);
        assert!((to_f32(folded).unwrap()[0] - 1.0).abs() < 0.01);
    }
}
