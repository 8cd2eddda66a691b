use quantizer::check;
use quantizer::graph::node;
use quantizer::proto::GraphProto;
use quantizer::rewrite::{self, Applied, PASSES};
use quantizer::tensor::from_f32;

use super::support::{float, shown, value};

/// Something for the first, the second and the fourth pass.
fn graph() -> GraphProto {
    GraphProto {
        node: vec![
            node("Pow", "", &["x", "two"], &["a"]),
            node("Identity", "", &["a"], &["b"]),
            node("Pow", "", &["x", "2"], &["c"]),
            node("Add", "", &["b", "c"], &["y"]),
        ],
        initializer: vec![from_f32("two", &[], &[2.0]), from_f32("2", &[], &[2.0])],
        input: vec![float("x", &[0])],
        output: vec![value("y")],
        ..Default::default()
    }
}

#[test]
fn every_pass_is_found_by_its_name() {
    for pass in &PASSES {
        assert_eq!(rewrite::pass(pass.name).map(|found| found.what), Some(pass.what));
        assert_eq!(PASSES.iter().filter(|other| other.name == pass.name).count(), 1);
    }
    assert!(rewrite::pass("reassociate").is_none());
}

#[test]
fn the_report_says_what_each_pass_did() {
    let mut graph = graph();
    let report = rewrite::apply(&mut graph, &PASSES).unwrap();
    check::validate(&graph).unwrap();
    let did = |name: &'static str, rewrites: usize, nodes_before: usize, nodes_after: usize| Applied {
        name,
        rewrites,
        nodes_before,
        nodes_after,
    };
    let expected = [
        // One tensor, one power.
        did("common-subexpressions", 2, 4, 3),
        did("redundant", 1, 3, 2),
        did("instance-norm", 0, 2, 2),
        did("square", 1, 2, 2),
        did("polyphase", 0, 2, 2),
    ];
    assert_eq!(report, expected);
    assert_eq!(shown(&graph), ["a = Mul(x, x)", "y = Add(a, a)"]);
    assert_eq!(graph.initializer, []);
}

#[test]
fn a_graph_with_a_cycle_is_named() {
    for pass in PASSES.iter().filter(|pass| !["square", "polyphase"].contains(&pass.name)) {
        let cycle = vec![node("Neg", "", &["b"], &["a"]), node("Neg", "", &["a"], &["b"])];
        let error = (pass.run)(&mut GraphProto { node: cycle, ..Default::default() }).unwrap_err();
        assert!(error.to_string().contains("cycle of 2"), "{}: {error}", pass.name);
    }
}
