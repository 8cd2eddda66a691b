//! What cannot compute in INT8 is named.

use quantizer::calibration::{self, Channel, Point, Selection};
use quantizer::proto::{GraphProto, tensor_proto::DataType};
use quantizer::schemes::Scheme;
use quantizer::{Error, ErrorKind, tensor};

use super::support::{Layout, channel, one_convolution, ranges, scheme, value};

fn graph() -> GraphProto {
    one_convolution(&Layout::plain(2, 2, 1), &[1.0, 0.5, -0.25, 1.0], &[0.5, 0.0])
}

fn refusal(mut graph: GraphProto, channels: &[Channel]) -> Error {
    let known = ranges(&[("x", vec![channel(-1.0, 1.0, 0.1); 2]), ("y", channels.to_vec())]);
    scheme(known).apply(&mut graph).expect_err("a refusal")
}

#[test]
fn convolutions_that_are_no_constant_float_are_named() {
    type Change = fn(&mut GraphProto);
    let changes: [(Change, &str); 6] = [
        (|graph| graph.input.push(value("w")), "expected constant weights"),
        (|graph| graph.input.push(value("b")), "expected a constant bias of 2 elements, found `b`"),
        (|graph| graph.initializer[1] = tensor::from_f32("b", &[1], &[0.0]), "expected a constant bias of 2"),
        (
            |graph| graph.initializer[0] = tensor::from_f16("w", &[2, 2, 1], &[0.0; 4]),
            "expected weights in float32, found float16",
        ),
        (
            |graph| graph.initializer[0] = tensor::from_f32("w", &[2, 2, 1, 1], &[0.0; 4]),
            "expected weights of 3 dimensions, for a convolution over time, found [2, 2, 1, 1]",
        ),
        (|graph| graph.node[0].attribute[3].i = Some(3), "expected weights for 3 groups, found [2, 2, 1]"),
    ];
    for (change, expected) in changes {
        let mut graph = graph();
        change(&mut graph);
        let error = refusal(graph, &[channel(-1.0, 1.0, 0.1); 2]);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("node `conv` (Conv): "), "{error}");
        assert!(error.to_string().contains(expected), "{error}, not {expected}");
    }
    let mut unbounded = graph();
    unbounded.initializer[0] = tensor::from_f32("w", &[2, 2, 1], &[0.0, f32::NAN, 0.0, 0.0]);
    let error = refusal(unbounded, &[channel(-1.0, 1.0, 0.1); 2]);
    assert!(error.to_string().contains("tensor `w`: expected finite weights"), "{error}");
}

#[test]
fn values_without_sound_ranges_are_named() {
    let sound = channel(-1.0, 1.0, 0.1);
    for (channels, expected) in [
        (vec![sound], "tensor `y`: expected ranges of 2 channels, found 1"),
        (vec![sound, channel(0.5, 1.0, 0.1)], "tensor `y`: expected a finite range around 0, found"),
        (vec![sound, channel(-1.0, f32::INFINITY, 0.1)], "expected a finite range around 0"),
    ] {
        let error = refusal(graph(), &channels);
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = scheme(ranges(&[])).apply(&mut graph()).unwrap_err();
    assert!(
        error.to_string().starts_with("tensor `y`: expected calibrated ranges, found none\nhint: "),
        "{error}"
    );
}

#[test]
fn measurements_that_do_not_fit_are_named() {
    let point = Point { value: "y".into(), channels: 2, edges: 0 };
    let mut statistics = calibration::Statistics::default();
    let error = statistics.add(&point, &[0.0; 7]).unwrap_err();
    assert_eq!(error.to_string(), "tensor `y`: expected 8 measured numbers, found 7");
    let error = statistics.add(&point, &[0.0, 1.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0]).unwrap_err();
    assert_eq!(error.to_string(), "tensor `y`: expected finite measurements, found NaN at 2");
    let error =
        calibration::expose_statistics(&mut graph(), &[Point { value: "z".into(), channels: 2, edges: 0 }]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "tensor `z`: expected a value of the graph, found none of that name"
    );
    let mut computed = graph();
    computed.initializer.remove(0);
    let error = calibration::points(&computed, &Selection::default(), &[]).unwrap_err();
    assert!(
        error.to_string().contains("node `conv` (Conv): expected constant weights of 3 dimensions"),
        "{error}"
    );
    assert_eq!(tensor::element_type(&computed.initializer[0]), DataType::Float);
}
