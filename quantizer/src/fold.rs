//! Folds the sub-graphs that compute weights from constants.
//!
//! Exporters may leave weight normalization unfolded, `w = g · v / ‖v‖` (Salimans and Kingma 2016), and
//! reshapes, casts and transpositions besides. A quantizer needs the product, so this pass computes what
//! stands in front of weight inputs, and nothing else: the rest of the graph stays as it was written.

mod value;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::dead;
use crate::error::Result;
use crate::graph::{View, is, nested, nested_mut, own_names};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use value::{Value, evaluate};

/// The inputs of `node` that hold weights, where this crate knows the operator.
pub fn weight_inputs(node: &NodeProto) -> &'static [usize] {
    let op = |name| is(node, name);
    if op("Conv") || op("ConvTranspose") || op("MatMul") || op("Gemm") {
        &[1]
    } else if op("LSTM") || op("GRU") || op("RNN") {
        &[1, 2]
    } else if op("Gather") {
        &[0]
    } else {
        &[]
    }
}

/// A value that a node has for a weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightUse<'a> {
    pub(crate) node: &'a NodeProto,
    /// The name of the value.
    pub(crate) name: &'a str,
}

/// What the nodes of `graph` have for weights, in their order, and those of inner graphs where they
/// have a value of `graph`.
pub(crate) fn weight_uses(graph: &GraphProto) -> Vec<WeightUse<'_>> {
    let mut uses = Vec::new();
    for node in &graph.node {
        let names = weight_inputs(node).iter().filter_map(|&input| node.input.get(input));
        uses.extend(names.filter(|name| !name.is_empty()).map(|name| WeightUse { node, name }));
        for inner in nested(node) {
            let own = own_names(inner);
            uses.extend(weight_uses(inner).into_iter().filter(|inner| !own.contains(inner.name)));
        }
    }
    uses
}

/// Replaces every weight that is computed from constants by an initializer of the same name, removes the
/// nodes that computed it, and returns how many weights were folded; in inner graphs too.
///
/// # Errors
/// [`crate::ErrorKind::Tensor`] for constants whose payload or shapes contradict the nodes that use them. An
/// operator that is not one of weight computation is no error: what it feeds is left unfolded.
pub fn fold_weights(graph: &mut GraphProto) -> Result<usize> {
    let folded = Folded::of(graph, &|_| Ok(None))?;
    Ok(folded.put(graph))
}

/// Where a graph within another one looks for a value that it has not itself.
type Outside<'f, 'a> = &'f dyn Fn(&'a str) -> Result<Option<Rc<Value>>>;

/// The weights that a graph computes from constants, and those of the graphs within, in the order
/// of [`nested`].
struct Folded {
    tensors: Vec<TensorProto>,
    inner: Vec<Folded>,
}

impl Folded {
    fn of<'a>(graph: &'a GraphProto, outside: Outside<'_, 'a>) -> Result<Self> {
        let view = View::new(graph);
        let known = RefCell::new(HashMap::new());
        let constant = |name: &'a str| constant(name, &view, &mut known.borrow_mut(), outside);
        let mut tensors = Vec::new();
        let mut seen = HashSet::new();
        for WeightUse { name, .. } in weight_uses(graph) {
            if view.producer(name).is_some()
                && seen.insert(name)
                && let Some(value) = constant(name)?
            {
                tensors.extend(value.to_float_tensor(name));
            }
        }
        let inner = graph.node.iter().flat_map(nested).map(|inner| Self::of(inner, &constant));
        let inner = inner.collect::<Result<_>>()?;
        Ok(Self { tensors, inner })
    }

    /// Puts the weights in place of what computes them, and returns how many there are.
    fn put(self, graph: &mut GraphProto) -> usize {
        let inner = graph.node.iter_mut().flat_map(nested_mut).zip(self.inner);
        let inner: usize = inner.map(|(graph, folded)| folded.put(graph)).sum();
        let count = self.tensors.len() + inner;
        if count > 0 {
            let names: HashSet<&str> = self.tensors.iter().map(TensorProto::name).collect();
            for output in graph.node.iter_mut().flat_map(|node| &mut node.output) {
                if names.contains(output.as_str()) {
                    output.clear();
                }
            }
            graph.initializer.extend(self.tensors);
            dead::remove(graph);
        }
        count
    }
}

/// The value of `name` if it follows from constants alone; `None` if it does not, or if an operator on the
/// way is not one of weight computation.
///
/// The walk keeps its own stack: a chain of nodes may be longer than a thread's stack is deep.
fn constant<'a>(
    name: &'a str,
    view: &View<'a>,
    known: &mut HashMap<&'a str, Option<Rc<Value>>>,
    outside: Outside<'_, 'a>,
) -> Result<Option<Rc<Value>>> {
    let mut pending = vec![name];
    let mut begun = HashSet::from([name]);
    while let Some(&name) = pending.last() {
        if known.contains_key(name) {
            pending.pop();
            continue;
        }
        let value = match (view.initializer(name), view.producer(name)) {
            _ if view.is_input(name) => None,
            (Some(tensor), _) => Value::from_tensor(tensor)?.map(Rc::new),
            (None, Some(node)) => match inputs(node, known) {
                Inputs::Constant(inputs) => evaluate(node, &inputs)?,
                Inputs::Unknown(next) if begun.insert(next) => {
                    pending.push(next);
                    continue;
                }
                // An input that is begun and not yet known closes a cycle.
                Inputs::NotConstant | Inputs::Unknown(_) => None,
            },
            (None, None) => outside(name)?,
        };
        known.insert(name, value);
    }
    Ok(known[name].clone())
}

/// What is known of the inputs of a node.
enum Inputs<'a> {
    Constant(Vec<Rc<Value>>),
    NotConstant,
    Unknown(&'a str),
}

fn inputs<'a>(node: &'a NodeProto, known: &HashMap<&'a str, Option<Rc<Value>>>) -> Inputs<'a> {
    let mut values = Vec::with_capacity(node.input.len());
    for input in &node.input {
        match known.get(input.as_str()) {
            Some(Some(value)) => values.push(Rc::clone(value)),
            Some(None) => return Inputs::NotConstant,
            None => return Inputs::Unknown(input),
        }
    }
    Inputs::Constant(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{integer_attribute, node};
    use crate::proto::{AttributeProto, ValueInfoProto};
    use crate::tensor::{from_f32, from_i64, to_f32};

    fn value(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: Some(name.into()), ..Default::default() }
    }

    /// `w = g · v / sqrt(Σ v²)` over all axes but the first, as `PyTorch`'s exporter writes it.
    fn weight_norm() -> GraphProto {
        GraphProto {
            node: vec![
                node("Mul", "square", &["v", "v"], &["vv"]),
                node("ReduceSum", "sum", &["vv", "axes"], &["sum"]),
                node("Sqrt", "root", &["sum"], &["norm"]),
                node("Div", "unit", &["v", "norm"], &["unit"]),
                node("Mul", "scale", &["unit", "g"], &["w"]),
                node("Conv", "conv", &["x", "w"], &["y"]),
            ],
            initializer: vec![
                from_f32("v", &[2, 1, 2], &[3.0, 4.0, 0.0, 2.0]),
                from_f32("g", &[2, 1, 1], &[10.0, 1.0]),
                from_i64("axes", &[2], &[1, 2]),
            ],
            input: vec![value("x")],
            output: vec![value("y")],
            ..Default::default()
        }
    }

    #[test]
    fn weight_normalization_becomes_one_initializer() {
        let mut graph = weight_norm();
        assert_eq!(fold_weights(&mut graph).unwrap(), 1);
        assert_eq!(graph.node.iter().map(NodeProto::name).collect::<Vec<_>>(), ["conv"]);
        assert_eq!(graph.initializer.len(), 1);
        assert_eq!(to_f32(&graph.initializer[0]).unwrap(), [6.0, 8.0, 0.0, 1.0]);
        crate::check::validate(&graph).unwrap();
    }

    #[test]
    fn reduce_l2_gives_the_same_weight() {
        let mut graph = weight_norm();
        let mut norm = node("ReduceL2", "norm", &["v"], &["norm"]);
        norm.attribute = vec![
            integer_attribute("keepdims", 1),
            AttributeProto { name: Some("axes".into()), ints: vec![1, 2], ..Default::default() },
        ];
        graph.node.splice(0..3, [norm]);
        fold_weights(&mut graph).unwrap();
        assert_eq!(to_f32(&graph.initializer[0]).unwrap(), [6.0, 8.0, 0.0, 1.0]);
    }

    #[test]
    fn a_weight_that_depends_on_an_input_or_an_unknown_operator_stays() {
        let mut dynamic = weight_norm();
        dynamic.input.push(value("g"));
        let mut unknown = weight_norm();
        unknown.node[2].op_type = Some("Reciprocal".into());
        for mut graph in [dynamic, unknown] {
            let before = graph.clone();
            assert_eq!(fold_weights(&mut graph).unwrap(), 0);
            assert_eq!(graph, before);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let mut graph = weight_norm();
        graph.initializer[1] = from_f32("g", &[3], &[1.0; 3]);
        let error = fold_weights(&mut graph).unwrap_err();
        assert!(error.to_string().contains("node `scale` (Mul): shapes [2, 1, 2] and [3]"), "{error}");
    }

    /// A body computes its weight from a constant outside; another one has a weight that is
    /// computed outside.
    #[test]
    fn weights_of_inner_graphs_are_folded_where_they_are_computed() {
        let branch = |name: &str, nodes: Vec<NodeProto>| AttributeProto {
            name: Some(name.into()),
            g: Some(GraphProto { node: nodes, output: vec![value("z")], ..Default::default() }),
            ..Default::default()
        };
        let mut choose = node("If", "choose", &["c"], &["y"]);
        choose.attribute = vec![
            branch(
                "then_branch",
                vec![node("Transpose", "", &["v"], &["t"]), node("MatMul", "", &["x", "t"], &["z"])],
            ),
            branch("else_branch", vec![node("MatMul", "", &["x", "n"], &["z"])]),
        ];
        let mut graph = GraphProto {
            node: vec![node("Neg", "", &["v"], &["n"]), choose],
            initializer: vec![from_f32("v", &[1, 2], &[1.0, 2.0])],
            input: vec![value("x"), value("c")],
            output: vec![value("y")],
            ..Default::default()
        };
        assert_eq!(fold_weights(&mut graph).unwrap(), 2);
        crate::check::validate(&graph).unwrap();
        assert_eq!(graph.initializer.len(), 1, "what is captured no more is gone");
        assert_eq!(to_f32(&graph.initializer[0]).unwrap(), [-1.0, -2.0]);
        let inner = nested(&graph.node[0]).next().unwrap();
        assert_eq!((inner.node.len(), inner.initializer[0].dims.as_slice()), (1, &[2, 1][..]));
    }
}
