//! What draws random numbers, held still.

use crate::graph::{is, node, tensor_attribute};
use crate::names::Names;
use crate::proto::{AttributeProto, GraphProto, NodeProto};
use crate::tensor;

/// Operators that draw numbers, so that a model never says the same twice.
const RANDOM: [&str; 5] =
    ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli"];

/// How many nodes draw random numbers.
pub(super) fn count(graph: &GraphProto) -> usize {
    graph.node.iter().filter(|node| is_random(node)).count()
}

fn is_random(node: &NodeProto) -> bool {
    RANDOM.iter().any(|op| is(node, op))
}

/// Takes what draws random numbers for the mean of what it draws, so that two models can be compared
/// by what they say. Returns how many nodes there were.
pub fn still(graph: &mut GraphProto) -> usize {
    let mut taken = Names::of(graph);
    let mut count = 0;
    let mut made: Vec<NodeProto> = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        if !is_random(&node) {
            made.push(node);
            continue;
        }
        count += 1;
        made.extend(quiet(&node, &mut taken));
    }
    graph.node = made;
    count
}

/// The mean of what a node draws, with the shape that it has.
fn quiet(random: &NodeProto, taken: &mut Names) -> Vec<NodeProto> {
    let output = random.output.first().map_or("", String::as_str);
    let given = |name: &str| random.attribute.iter().find(|it| it.name() == name);
    let number = |name: &str, default: f32| given(name).map_or(default, AttributeProto::f);
    let mean = if random.op_type().starts_with("RandomUniform") {
        f32::midpoint(number("low", 0.0), number("high", 1.0))
    } else {
        number("mean", 0.0)
    };
    let shape = taken.value(&format!("{output}/shape"));
    let first = if let Some(fixed) = given("shape") {
        let dims: Vec<i64> = fixed.ints.clone();
        let mut constant = node("Constant", taken.node(&shape), &[], &[&shape]);
        constant.attribute.push(tensor_attribute("value", tensor::from_i64("value", &[dims.len()], &dims)));
        constant
    } else {
        let like = random.input.first().map_or("", String::as_str);
        node("Shape", taken.node(&shape), &[like], &[&shape])
    };
    let mut filled = node("ConstantOfShape", random.name(), &[&shape], &[output]);
    filled.attribute.push(tensor_attribute("value", tensor::from_f32("value", &[1], &[mean])));
    vec![first, filled]
}
