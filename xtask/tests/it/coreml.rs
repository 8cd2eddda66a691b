//! What the CoreML provider is predicted to take: each reason to leave a node, how nodes become partitions, and the command.

use crate::support::models::{self, value};
use crate::support::program::{Program, runtime, users_cache};
use quantizer::graph::{integer_attribute, node, string_attribute};
use quantizer::proto::tensor_proto::DataType::{self, Float, Float16, Int32, Int64};
use quantizer::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use quantizer::tensor::{from_f32, from_i8, from_i64};
use serde_json::Value as Json;
use xtask::coreml::rules::RULES;
use xtask::coreml::{Behind, Coverage, Format, LONGEST, Options, Reason, fold, listed, partition, predict};

/// As [`value`] has it: a dimension that is open.
const OPEN: i64 = 0;

/// A model of these nodes, whose values are inputs where no node makes them.
fn model(nodes: &[NodeProto], values: &[ValueInfoProto], stored: &[TensorProto]) -> ModelProto {
    let made =
        |value: &ValueInfoProto| nodes.iter().any(|node| node.output.iter().any(|it| it == value.name()));
    let (made, given) = values.iter().cloned().partition(made);
    let mut model = models::clear();
    *models::graph(&mut model) = GraphProto {
        node: nodes.to_vec(),
        initializer: stored.to_vec(),
        input: given,
        value_info: made,
        ..Default::default()
    };
    model
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.into()), ints: ints.to_vec(), ..Default::default() }
}

fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

/// What is said of the last node, in each format.
fn verdicts(model: &ModelProto, options: Options) -> [Option<Reason>; 2] {
    let prediction = predict(model, options, &[]).unwrap();
    let last = model.graph.as_ref().unwrap().node.last().unwrap();
    [0, 1].map(|format| {
        let coverage: &Coverage = &prediction.formats[format];
        let left = coverage.left.iter().find(|left| left.output == last.output[0]);
        assert_eq!(coverage.taken + coverage.left.len(), prediction.nodes);
        left.map(|left| left.left.reason)
    })
}

struct Case {
    what: &'static str,
    model: ModelProto,
    /// As ML Program and as `NeuralNetwork`; `None` where the node is taken.
    expected: [Option<Reason>; 2],
}

fn case(
    what: &'static str,
    node: NodeProto,
    values: &[ValueInfoProto],
    stored: &[TensorProto],
    expected: [Option<Reason>; 2],
) -> Case {
    Case { what, model: model(&[node], values, stored), expected }
}

const TAKEN: [Option<Reason>; 2] = [None, None];

/// In both formats for this reason.
fn left(reason: Reason) -> [Option<Reason>; 2] {
    [Some(reason); 2]
}

#[track_caller]
fn check(cases: &[Case]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|Case { what, model, expected }| {
            let found = verdicts(model, Options::default());
            (found != *expected).then(|| format!("{what}: expected {expected:?}, found {found:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn operators_types_and_shapes_of_inputs_decide_first() {
    let unary = |op: &str| node(op, "", &["x"], &["y"]);
    let of = |element: DataType, shape: &[i64]| [value("x", element, shape), value("y", element, shape)];
    let unknown = ValueInfoProto { name: Some("x".into()), ..Default::default() };
    let mut old = model(&[unary("Relu")], &of(Float, &[2]), &[]);
    old.opset_import[0].version = Some(5);
    let typed = {
        let mut typed = value("x", Float, &[2]);
        let Some(quantizer::proto::type_proto::Value::TensorType(tensor)) =
            &mut typed.r#type.as_mut().unwrap().value
        else {
            unreachable!("`value` makes tensors")
        };
        tensor.shape = None;
        typed
    };
    check(&[
        case("an operator", unary("Relu"), &of(Float, &[2, OPEN]), &[], TAKEN),
        case("no operator of its", unary("Floor"), &of(Float, &[2]), &[], left(Reason::Operator)),
        case("in one format", unary("Exp"), &of(Float, &[2]), &[], [None, Some(Reason::Format)]),
        case("in the other", unary("LRN"), &of(Float, &[1, 2, 3, 4]), &[], [Some(Reason::Format), None]),
        Case { what: "too old", model: old, expected: left(Reason::OperatorSet) },
        case("half as wide", unary("Relu"), &of(Float16, &[2]), &[], [None, Some(Reason::ElementType)]),
        case("counted", unary("Relu"), &of(Int64, &[2]), &[], left(Reason::ElementType)),
        case("five dimensions", unary("Relu"), &of(Float, &[1; 5]), &[], TAKEN),
        case("six dimensions", unary("Relu"), &of(Float, &[1; 6]), &[], left(Reason::Rank)),
        case("declared by name", unary("Relu"), &[unknown], &[], left(Reason::UnknownShape)),
        case("declared by type", unary("Relu"), &[typed], &[], left(Reason::UnknownShape)),
    ]);
}

#[test]
fn a_shape_of_nothing_is_left_but_for_what_resize_ignores() {
    let resize = with(
        with(node("Resize", "", &["x", "roi", "scales"], &["y"]), string_attribute("nearest_mode", "floor")),
        string_attribute("coordinate_transformation_mode", "asymmetric"),
    );
    let image = [value("x", Float, &[1, 2, 4, 4]), value("y", Float, &[1, 2, 8, 8])];
    let twice = from_f32("scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
    let half = from_f32("scales", &[4], &[1.0, 1.0, 0.5, 0.5]);
    let odd = from_f32("scales", &[4], &[1.0, 1.0, 1.5, 1.0]);
    let wide = from_f32("scales", &[4], &[1.0, 2.0, 2.0, 2.0]);
    let roi = from_f32("roi", &[0], &[]);
    let open = [value("x", Float, &[1, 2, OPEN, 4]), value("y", Float, &[1, 2, OPEN, 8])];
    let mut smooth = resize.clone();
    smooth.attribute[1] = string_attribute("coordinate_transformation_mode", "half_pixel");
    let one = |stored: &TensorProto| [roi.clone(), stored.clone()];
    check(&[
        case(
            "nothing to add",
            node("Add", "", &["x", "roi"], &["y"]),
            &image,
            std::slice::from_ref(&roi),
            left(Reason::Shape),
        ),
        case("twice as large", resize.clone(), &image, &one(&twice), TAKEN),
        case("half as large", resize.clone(), &image, &one(&half), [None, Some(Reason::Parameter)]),
        case("by one and a half", resize.clone(), &image, &one(&odd), left(Reason::Parameter)),
        case("more channels", resize.clone(), &image, &one(&wide), left(Reason::Parameter)),
        case("of open height", resize, &open, &one(&twice), left(Reason::DynamicDimension)),
        case("between pixels", smooth, &image, &one(&twice), left(Reason::Attribute)),
    ]);
}

#[test]
fn convolutions_end_at_16_384() {
    assert_eq!(LONGEST, 16_384);
    let conv = |x: i64, w: i64, y: i64| {
        let values =
            [value("x", Float, &[1, 1, x]), value("w", Float, &[1, 1, w]), value("y", Float, &[1, 1, y])];
        (node("Conv", "", &["x", "w"], &["y"]), values)
    };
    let of = |what, (node, values): (NodeProto, [ValueInfoProto; 3]), expected| {
        case(what, node, &values, &[], expected)
    };
    // As a NeuralNetwork the weight has to be constant, which is looked at before.
    let long = [Some(Reason::LongDimension), Some(Reason::NotConstant)];
    let stored = [from_f32("w", &[1, 1, 3], &[1.0; 3])];
    let ends = |length| [value("x", Float, &[1, 1, length]), value("y", Float, &[1, 1, 8])];
    let plain = || node("Conv", "", &["x", "w"], &["y"]);
    let up = || node("ConvTranspose", "", &["x", "w"], &["y"]);
    let no_output = [value("x", Float, &[1, 1, 8])];
    check(&[
        of("as long as may be", conv(16_384, 3, 16_384), [None, Some(Reason::NotConstant)]),
        of("a longer input", conv(16_385, 3, 8), long),
        of("a longer weight", conv(8, 16_385, 8), long),
        of("a longer output", conv(8, 3, 16_385), long),
        case("stored, as long as may be", plain(), &ends(16_384), &stored, TAKEN),
        case("stored, longer", plain(), &ends(16_385), &stored, left(Reason::LongDimension)),
        case("open, who knows how long", plain(), &ends(OPEN), &stored, TAKEN),
        case("an output of no shape", plain(), &no_output, &stored, left(Reason::UnknownShape)),
        case("upwards", up(), &ends(16_384), &stored, [None, Some(Reason::Format)]),
        case(
            "upwards, longer",
            up(),
            &ends(16_385),
            &stored,
            [Some(Reason::LongDimension), Some(Reason::Format)],
        ),
        case(
            "upwards, padded behind",
            with(up(), ints("output_padding", &[1])),
            &ends(8),
            &stored,
            [Some(Reason::Attribute), Some(Reason::Format)],
        ),
        case(
            "upwards, padded unevenly",
            with(up(), ints("pads", &[1, 0])),
            &ends(8),
            &stored,
            [Some(Reason::Attribute), Some(Reason::Format)],
        ),
        case(
            "another kernel",
            with(plain(), ints("kernel_shape", &[5])),
            &ends(8),
            &stored,
            left(Reason::Attribute),
        ),
        // Only convolutions are bounded.
        case(
            "long, and no convolution",
            node("Relu", "", &["x"], &["y"]),
            &[value("x", Float, &[16_385])],
            &[],
            TAKEN,
        ),
    ]);
}

#[test]
fn parameters_are_constants_that_leave_something() {
    let x = |shape: &[i64]| [value("x", Float, shape), value("y", Float, shape)];
    let slice = || node("Slice", "", &["x", "from", "to", "axes"], &["y"]);
    let part = |from: i64, to: i64| {
        [from_i64("from", &[1], &[from]), from_i64("to", &[1], &[to]), from_i64("axes", &[1], &[-1])]
    };
    let reshape = || node("Reshape", "", &["x", "shape"], &["y"]);
    let to = |shape: &[i64]| [from_i64("shape", &[shape.len()], shape)];
    let reduce = || node("ReduceMean", "", &["x", "axes"], &["y"]);
    let axes = [from_i64("axes", &[1], &[1])];
    let computed = [value("x", Float, &[2, 4]), value("axes", Int64, &[1])];
    let split = || with(node("Split", "", &["x"], &["y", "z"]), integer_attribute("num_outputs", 2));
    let gather = || node("Gather", "", &["x", "i"], &["y"]);
    let looked_up = |shape: &[i64]| [value("x", Float, &[2, 4]), value("i", Int64, shape)];
    let pad = || node("Pad", "", &["x", "pads", "zero"], &["y"]);
    let around = |pads: &[i64]| [from_i64("pads", &[pads.len()], pads), from_f32("zero", &[], &[0.0])];
    check(&[
        case("a slice", slice(), &x(&[2, 4]), &part(0, i64::MAX), TAKEN),
        case("a slice from behind", slice(), &x(&[2, 4]), &part(-2, i64::MAX), TAKEN),
        case("an empty slice", slice(), &x(&[2, 4]), &part(3, -2), left(Reason::Parameter)),
        case("a slice of what is open", slice(), &x(&[OPEN, 4]), &part(0, 2), left(Reason::DynamicDimension)),
        case("a new shape", reshape(), &x(&[2, 4]), &to(&[-1]), TAKEN),
        case("of what is open", reshape(), &x(&[2, OPEN]), &to(&[-1]), left(Reason::DynamicDimension)),
        case("of six dimensions", reshape(), &x(&[2, 4]), &to(&[1, 1, 1, 2, 2, 2]), left(Reason::Rank)),
        case("a mean", reduce(), &x(&[2, 4]), &axes, TAKEN),
        case("a mean over who knows what", reduce(), &computed, &[], left(Reason::NotConstant)),
        // A caller may replace an initializer that is an input.
        case("a mean over a default", reduce(), &computed, &axes, left(Reason::NotConstant)),
        case("halves", split(), &x(&[4, 2]), &[], TAKEN),
        case("halves of who knows what", split(), &x(&[OPEN, 2]), &[], left(Reason::DynamicDimension)),
        case("rows", gather(), &looked_up(&[3]), &[], TAKEN),
        case("a row", gather(), &looked_up(&[]), &[], left(Reason::Rank)),
        case("padded at the end", pad(), &x(&[1, 2, 4]), &around(&[0, 0, 1, 0, 0, 1]), TAKEN),
        case(
            "padded in front",
            pad(),
            &x(&[1, 2, 4]),
            &around(&[1, 0, 0, 0, 0, 0]),
            [None, Some(Reason::Parameter)],
        ),
        case("cut", pad(), &x(&[1, 2, 4]), &around(&[0, 0, -1, 0, 0, 0]), left(Reason::Parameter)),
    ]);
}

#[test]
fn what_stands_around_a_node_counts() {
    let values = [
        value("x", Float, &[2, 4]),
        value("index", Int64, &[1, 4]),
        value("y", Int32, &[1, 4]),
        value("z", Float, &[1, 4]),
    ];
    let most = node("ArgMax", "", &["x"], &["index"]);
    let cast = |from: &str, element: DataType, to: &str| {
        with(node("Cast", "", &[from], &[to]), integer_attribute("to", element as i64))
    };
    let of = |what, nodes: &[NodeProto], expected| Case { what, model: model(nodes, &values, &[]), expected };
    let concat = |shape: &[i64]| {
        let values = [value("x", Float, shape), value("y", Float, shape)];
        (with(node("Concat", "", &["x", "x"], &["y"]), integer_attribute("axis", 1)), values)
    };
    let joined = |what, (node, values): (NodeProto, [ValueInfoProto; 2]), expected| {
        case(what, node, &values, &[], expected)
    };
    let normalize = node("InstanceNormalization", "", &["x", "scale", "bias"], &["y"]);
    let floats = [value("x", Float, &[1, 2, 4]), value("y", Float, &[1, 2, 4])];
    let given = [floats.as_slice(), &[value("scale", Float, &[2]), value("bias", Float, &[2])]].concat();
    let one = |name: &str| from_f32(name, &[2], &[1.0; 2]);
    check(&[
        of("an ArgMax, cast", &[most.clone(), cast("index", Int32, "y")], TAKEN),
        of("cast to floats", &[most.clone(), cast("index", Float, "z")], [None, Some(Reason::ElementType)]),
        of(
            "cast from outside",
            &[cast("x", Int32, "y")],
            [Some(Reason::Neighbours), Some(Reason::ElementType)],
        ),
        of(
            "an ArgMax that two read",
            &[cast("index", Int32, "y"), cast("index", Float, "z"), most],
            left(Reason::Neighbours),
        ),
        joined("channels", concat(&[1, 2, 3, 4]), TAKEN),
        joined("in three dimensions", concat(&[1, 2, 3]), [None, Some(Reason::Rank)]),
        case(
            "normalized",
            normalize.clone(),
            &floats,
            &[one("scale"), one("bias")],
            [None, Some(Reason::Format)],
        ),
        case(
            "normalized to order",
            normalize,
            &given,
            &[],
            [Some(Reason::NotConstant), Some(Reason::Format)],
        ),
    ]);
}

#[test]
fn static_shapes_can_be_required() {
    let open = model(
        &[node("Relu", "", &["x"], &["y"])],
        &[value("x", Float, &[OPEN]), value("y", Float, &[OPEN])],
        &[],
    );
    assert_eq!(verdicts(&open, Options::default()), TAKEN);
    let options = Options { require_static_input_shapes: true };
    assert_eq!(verdicts(&open, options), left(Reason::DynamicDimension));
}

/// The graph of these edges, from a node to a later one, and its partitions if the nodes whose letters are upper case are taken.
fn partitions(nodes: &str, edges: &[&str]) -> Vec<String> {
    let made = |letter: char| letter.to_ascii_lowercase().to_string();
    let graph = GraphProto {
        node: nodes
            .chars()
            .map(|letter| {
                let into = edges.iter().filter(|edge| edge.ends_with(letter));
                let inputs: Vec<String> = into.map(|edge| made(edge.chars().next().unwrap())).collect();
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                node("Relu", letter.to_string(), &inputs, &[&made(letter)])
            })
            .collect(),
        ..Default::default()
    };
    let taken: Vec<bool> = nodes.chars().map(char::is_uppercase).collect();
    let name = |index: usize| graph.node[index].name();
    let groups = partition(&graph, &taken).unwrap();
    groups.into_iter().map(|group| group.into_iter().map(name).collect()).collect()
}

#[test]
fn partitions_are_as_large_as_what_is_left_allows() {
    let cases: [(&str, &[&str], &[&str]); 8] = [
        ("ABCD", &["AB", "AC", "BD", "CD"], &["ABCD"]),
        // If A and C were one, it would wait for b, which waits for A.
        ("AbC", &["Ab", "bC", "AC"], &["A", "C"]),
        // What does not hang together is one as well.
        ("AbCDE", &["Ab", "bC", "DE"], &["ADE", "C"]),
        // What is left and reads from no partition runs first.
        ("aBC", &["aB"], &["CB"]),
        // One branch of two is left: the other one waits for nobody.
        ("ABcDE", &["AB", "Ac", "BD", "cE", "DE"], &["ABD", "E"]),
        // Two that are left, one behind the other, part once.
        ("AbcD", &["Ab", "bc", "cD"], &["A", "D"]),
        // Two that are left, with one that is taken between, part twice.
        ("AbCdE", &["Ab", "bC", "Cd", "dE"], &["A", "C", "E"]),
        ("ab", &["ab"], &[]),
    ];
    for (nodes, edges, expected) in cases {
        assert_eq!(partitions(nodes, edges), expected, "{nodes} {edges:?}");
    }
}

#[test]
fn what_is_behind_a_value_is_counted_apart() {
    // The decoder of this is `c` and what follows; `d` parts it, and the first partition has nodes in front of it, too.
    let nodes = [
        node("Relu", "", &["x"], &["a"]),
        node("Relu", "", &["x"], &["b"]),
        node("Relu", "", &["b"], &["c"]),
        node("Floor", "", &["c"], &["d"]),
        node("Add", "", &["a", "d"], &["e"]),
    ];
    let values = ["x", "a", "b", "c", "d", "e"].map(|name| value(name, Float, &[2]));
    let model = model(&nodes, &values, &[]);
    let prediction = predict(&model, Options::default(), &["b".into()]).unwrap();
    for coverage in &prediction.formats {
        assert_eq!(coverage.partitions, [3, 1]);
        assert_eq!(coverage.behind, Some(Behind { nodes: 3, taken: 2, partitions: vec![1, 1] }));
    }
    let error = predict(&model, Options::default(), &["z".into()]).unwrap_err();
    assert!(format!("{error:#}").contains("`z`"), "{error:#}");
}

#[test]
fn no_partition_waits_for_itself() {
    let mut state = 7_u32;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % bound
    };
    let mut parted = 0;
    for _ in 0..200 {
        let count = 2 + below(40);
        let inputs: Vec<Vec<usize>> =
            (0..count).map(|at| (0..below(4).min(at)).map(|_| below(at)).collect()).collect();
        let taken: Vec<bool> = (0..count).map(|_| below(4) > 0).collect();
        let names = |inputs: &[usize]| inputs.iter().map(ToString::to_string).collect::<Vec<_>>();
        let nodes = inputs.iter().enumerate().map(|(at, inputs)| NodeProto {
            op_type: Some("Relu".into()),
            input: names(inputs),
            output: names(&[at]),
            ..Default::default()
        });
        let graph = GraphProto { node: nodes.collect(), ..Default::default() };
        let groups = partition(&graph, &taken).unwrap();
        parted += usize::from(groups.len() > 1);

        let mut group_of: Vec<usize> = (0..count).map(|at| groups.len() + at).collect();
        for (group, nodes) in groups.iter().enumerate() {
            for &index in nodes {
                assert!(taken[index] && group_of[index] >= groups.len(), "{index} is in two, or is left");
                group_of[index] = group;
            }
        }
        assert!((0..count).all(|at| taken[at] == (group_of[at] < groups.len())), "{groups:?}");
        // Each group as one node: they can run one after another.
        let mut whole = GraphProto::default();
        for group in 0..groups.len() + count {
            let members: Vec<usize> = (0..count).filter(|&at| group_of[at] == group).collect();
            let mut node = node("Relu", group.to_string(), &[], &[]);
            node.output = names(&members);
            node.input = members.iter().flat_map(|&at| names(&inputs[at])).collect();
            node.input.retain(|name| !node.output.contains(name));
            whole.node.push(node);
        }
        quantizer::order::order(&whole).unwrap();
    }
    assert!(parted > 50, "only {parted} graphs were parted");
}

#[test]
fn a_cycle_is_refused() {
    let values = [value("y", Float, &[2])];
    let nodes = [node("Add", "p", &["x", "r"], &["q"]), node("Relu", "s", &["q"], &["r"])];
    let error = predict(&model(&nodes, &values, &[]), Options::default(), &[]).unwrap_err();
    assert!(format!("{error:#}").contains("a cycle of 2"), "{error:#}");
}

#[test]
fn the_lists_lag_behind_the_rules() {
    for (format, expected) in [
        (
            Format::MlProgram,
            &["ArgMax", "BatchNormalization", "Gather", "Pad", "QuickGelu", "ReduceMin", "ReduceProd"][..],
        ),
        (Format::NeuralNetwork, &["ReduceMean", "ReduceSum"]),
    ] {
        let taken = RULES.iter().filter(|rule| rule.formats.contain(format));
        let unlisted = taken.filter(|rule| !listed::is_listed(&node(rule.operator, "", &[], &[]), format));
        assert_eq!(unlisted.map(|rule| rule.operator).collect::<Vec<_>>(), expected, "{format:?}");
    }
    let large = with(node("Transpose", "", &["x"], &["y"]), ints("perm", &[0, 1, 2, 3, 4, 5]));
    assert!(!listed::is_listed(&large, Format::MlProgram));
    assert!(RULES.windows(2).all(|pair| pair[0].operator < pair[1].operator), "by name, and each once");
}

/// A convolution whose weight is stored in INT8, as `weights-int8` stores it, behind a Relu; nothing is declared between.
fn stored_as_int8() -> ModelProto {
    let mut nodes = [
        with(node("Cast", "", &["levels"], &["cast"]), integer_attribute("to", Float as i64)),
        node("Mul", "", &["cast", "scale"], &["w"]),
        node("Relu", "", &["x"], &["loud"]),
        node("Conv", "", &["loud", "w"], &["heard"]),
        node("Floor", "", &["heard"], &["y"]),
    ];
    nodes[3].name = Some("conv".into());
    let stored = [from_i8("levels", &[1, 1, 3], &[1, 2, 3]), from_f32("scale", &[], &[0.5])];
    let mut model = model(&nodes, &[value("x", Float, &[1, 1, OPEN])], &stored);
    models::graph(&mut model).output = vec![value("y", Float, &[1, 1, OPEN])];
    model
}

#[test]
fn the_runtime_folds_constants_and_infers_shapes_first() {
    let model = stored_as_int8();
    let unfolded = predict(&model, Options::default(), &[]).unwrap();
    let folded = fold(&runtime(), model).unwrap();
    let folded = predict(&folded, Options::default(), &[]).unwrap();
    assert_eq!((unfolded.nodes, folded.nodes), (5, 3));
    for format in 0..2 {
        // Neither the weight nor the shape of what the Relu makes is known as the file has it.
        assert_eq!(unfolded.formats[format].taken, 1);
        assert_eq!(folded.formats[format].partitions, [2]);
        let left: Vec<_> = folded.formats[format].left.iter().map(|left| left.operator.as_str()).collect();
        assert_eq!(left, ["Floor"]);
    }
    assert!(unfolded.shapes_lost_at.iter().any(|lost| lost.operator == "Relu"));
    assert!(folded.shapes_lost_at.is_empty(), "{:?}", folded.shapes_lost_at);
}

#[test]
fn the_command_predicts_and_says_so() {
    let program = Program::with_cache(users_cache());
    models::write(&stored_as_int8(), &program.path("model.onnx"));
    let asked = |more: &[&str]| program.run(&[&["inspect", "model.onnx", "--offline"], more].concat());

    let shown = asked(&["--provider", "coreml"]);
    assert_eq!(shown.code, Some(0), "{}", shown.errors);
    for text in ["predicted", "not measured", "MLProgram", "NeuralNetwork", "2 of 3", "Floor", "operator"] {
        assert!(shown.output.contains(text), "no `{text}` in {}", shown.output);
    }

    let json: Json = serde_json::from_str(&asked(&["--provider", "coreml", "--json"]).output).unwrap();
    assert_eq!(json["nodes_in_file"], 5);
    let coreml = &json["coreml"];
    assert_eq!((&coreml["predicted"], &coreml["nodes"]), (&Json::Bool(true), &3.into()));
    assert_eq!(coreml["formats"][1]["format"], "neuralnetwork");
    assert_eq!(coreml["formats"][0]["partitions"], serde_json::json!([2]));
    let left = serde_json::json!([
        { "operator": "Floor", "reason": "operator", "detail": "", "nodes": 1, "outputs": ["y"] }
    ]);
    assert_eq!(coreml["formats"][0]["left"], left);

    let fixed = asked(&["--provider", "coreml", "--static-shapes", "--json"]).output;
    let fixed: Json = serde_json::from_str(&fixed).unwrap();
    assert_eq!(fixed["coreml"]["formats"][0]["taken"], 0);

    assert_eq!(asked(&["--provider", "coreml", "--folded", "folded.onnx"]).code, Some(0));
    let folded = quantizer::model::decode(fs_err::read(program.path("folded.onnx")).unwrap().into()).unwrap();
    let operators: Vec<_> =
        folded.graph.iter().flat_map(|graph| &graph.node).map(NodeProto::op_type).collect();
    assert_eq!(operators, ["Relu", "Conv", "Floor"]);

    for wrong in [&["--provider", "mps"][..], &["--static-shapes"], &["--folded", "folded.onnx"]] {
        assert_eq!(asked(wrong).code, Some(2), "{wrong:?}");
    }
}
