//! What is measured, and what follows from it.

use quantizer::calibration::{
    Channel, Edges, Errors, Point, Selection, Statistics, expose_errors, expose_statistics, points,
};
use quantizer::{census, check, tensor};

use super::support::{Layout, channel, one_convolution, ranges};

#[test]
fn points_are_the_ends_of_what_is_selected() {
    let layout = Layout { groups: 2, ..Layout::plain(4, 3, 1) };
    let mut graph = one_convolution(&layout, &[0.0; 12], &[0.0; 4]);
    graph.node.push(layout.node("again", &["x", "w"], "z"));
    let found = points(&graph, &Selection::default(), &[]).unwrap();
    let point = |value: &str, channels| Point { value: value.into(), channels, edges: 0 };
    assert_eq!(found, [point("x", 6), point("y", 4), point("z", 4)]);
    let none =
        Selection { exclude: Some(quantizer::schemes::pattern("a|c").unwrap()), ..Selection::default() };
    assert_eq!(points(&graph, &none, &[]).unwrap(), []);
    // Of what a convolution without edges reads as well, all is measured.
    let ends = Edges { pattern: quantizer::schemes::pattern("^conv$").unwrap(), positions: 3, times: 2.0 };
    let found =
        points(&graph, &Selection::default(), &[ends.clone(), Edges { positions: 9, ..ends }]).unwrap();
    assert_eq!(found, [point("x", 6), Point { edges: 3, ..point("y", 4) }, point("z", 4)]);
}

#[test]
fn measuring_adds_outputs_and_changes_nothing_else() {
    let before = one_convolution(&Layout::plain(2, 2, 1), &[0.5; 4], &[0.0; 2]);
    let points = points(&before, &Selection::default(), &[]).unwrap();
    let mut graph = before.clone();
    let outputs = expose_statistics(&mut graph, &points).unwrap();
    assert_eq!(outputs, ["x/statistics", "y/statistics"]);
    assert_eq!(graph.node[..1], before.node);
    let names: Vec<&str> = graph.output.iter().map(quantizer::proto::ValueInfoProto::name).collect();
    assert_eq!(names, ["y", "x/statistics", "y/statistics"]);
    check::validate(&graph).unwrap();

    let both = vec![channel(-1.0, 1.55, 0.1); 2];
    let known = ranges(&[("x", both.clone()), ("y", both)]);
    let mut graph = before.clone();
    assert_eq!(expose_errors(&mut graph, &points, &known, &[1.0, 0.5]).unwrap(), ["x/errors", "y/errors"]);
    check::validate(&graph).unwrap();
    assert_eq!(census::operators(&graph)["QuantizeLinear"], 4);
    let stored = |name: &str| graph.initializer.iter().find(|tensor| tensor.name() == name).unwrap();
    assert_eq!(tensor::to_f32(stored("y/scale.0")).unwrap(), [0.01; 2]);
    assert_eq!(tensor::to_f32(stored("y/scale.1")).unwrap(), [0.005; 2]);
    assert_eq!(tensor::to_i64(stored("y/zero.1")).unwrap(), [100; 2]);
}

#[test]
fn runs_are_merged_and_clipped_by_hand() {
    let point = Point { value: "y".into(), channels: 2, edges: 0 };
    let mut statistics = Statistics::default();
    // Rows: least, largest, mean, mean of squares.
    statistics.add(&point, &[-1.0, 2.0, 4.0, 6.0, 1.0, 3.0, 2.0, 10.0]).unwrap();
    statistics.add(&point, &[-3.0, 1.0, 2.0, 8.0, 0.0, 5.0, 4.0, 30.0]).unwrap();
    let mut found = statistics.ranges();
    let wide = Channel { low: -3.0, high: 4.0, mean: 0.5, mean_square: 3.0 };
    // 0 is in every range.
    let above = Channel { low: 0.0, high: 8.0, mean: 4.0, mean_square: 20.0 };
    assert_eq!(found.values["y"], [wide, above]);

    let mut errors = Errors::default();
    errors.add(&point, &[3.0, 1.0, 1.0, 1.0]).unwrap();
    errors.add(&point, &[3.0, 1.0, 1.0, 4.0]).unwrap();
    found.choose(&errors, &[1.0, 0.5]).unwrap();
    assert_eq!(found.values["y"], [wide.times(0.5), above]);
    assert_eq!((wide.times(0.5).low, wide.times(0.5).high), (-1.5, 2.0));
    let error = found.choose(&errors, &[1.0]).unwrap_err();
    assert!(error.to_string().contains("tensor `y`: expected measured errors for every ratio"), "{error}");
}

#[test]
fn scales_and_zero_points_by_hand() {
    assert_eq!(channel(-1.28, 1.27, 0.0).scale_and_zero(), (0.01, 128));
    assert_eq!(channel(0.0, 2.55, 0.0).scale_and_zero(), (0.01, 0));
    assert_eq!(channel(-2.55, 0.0, 0.0).scale_and_zero(), (0.01, 255));
    assert_eq!(channel(0.0, 0.0, 0.0).scale_and_zero(), (1.0, 128));
}
