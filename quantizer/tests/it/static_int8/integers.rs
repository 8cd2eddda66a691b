//! What is stored, and what comes out.

use quantizer::calibration::Channel;
use quantizer::graph::{View, integer_attribute, is, node};
use quantizer::proto::{GraphProto, NodeProto};
use quantizer::schemes::StaticInt8;
use quantizer::{census, rewrite, tensor};

use super::reference::evaluate;
use super::support::{Layout, channel, one_convolution, quantized, ranges, scheme, value};

fn integers(graph: &GraphProto, name: &str) -> Vec<i64> {
    tensor::to_i64(View::new(graph).initializer(name).unwrap_or_else(|| panic!("no `{name}`"))).unwrap()
}

fn floats(graph: &GraphProto, name: &str) -> Vec<f32> {
    tensor::to_f32(View::new(graph).initializer(name).unwrap_or_else(|| panic!("no `{name}`"))).unwrap()
}

/// Two inputs of one range, one output. Input scale 1: −128 … 127. Weights 127 and −64 are their own levels then.
#[test]
fn levels_bias_and_multiplier_by_hand() {
    let layout = Layout::plain(1, 2, 1);
    let graph = one_convolution(&layout, &[127.0, -64.0], &[10.0]);
    let known = ranges(&[
        ("x", vec![channel(-128.0, 127.0, 100.0); 2]),
        ("y", vec![channel(-64.0 * 256.0, 191.0 * 256.0, 1.0)]),
    ]);
    let (graph, summary) = quantized(graph, &scheme(known));
    assert_eq!((summary.convolutions, summary.quantized), (1, 1));
    assert_eq!(floats(&graph, "x_quantized_scale"), [1.0, 1.0]);
    assert_eq!(integers(&graph, "x_quantized_zero_point"), [128, 128]);
    assert_eq!(integers(&graph, "y_weight"), [127, -64]);
    // The output has 255 steps of 256 from −64 to 191: a scale of 256, a zero point of 64.
    assert_eq!(floats(&graph, "y_scale"), [256.0]);
    assert_eq!(integers(&graph, "y_zero_point"), [64]);
    assert_eq!(floats(&graph, "y_weight_scale"), [1.0 / 256.0]);
    // 10, and the 64 steps between the zero point and the middle.
    assert_eq!(integers(&graph, "y_bias"), [10 - 64 * 256]);

    let known = evaluate(&graph, &[vec![1.0, 127.4, -300.0, 2.5], vec![0.0, 127.6, 300.0, 1.5]]);
    // 2.5 and 1.5 are both rounded to 2.
    assert_eq!(known["x_quantized"].rows, [[129.0, 255.0, 0.0, 130.0], [128.0, 255.0, 255.0, 130.0]]);
    // 137, 127·127 − 64·127 + 10 = 8011, −128·127 − 64·127 + 10 = −24374, 2·127 − 2·64 + 10 = 136, in steps of 256.
    assert_eq!(known["y_quantized_output"].rows, [[65.0, 95.0, 0.0, 65.0]]);
    assert_eq!(known["y"].rows, [[256.0, 31.0 * 256.0, -64.0 * 256.0, 256.0]]);
}

/// A zero point that is not the middle is what the operator pads with.
#[test]
fn pads_stand_for_zero() {
    let layout = Layout { pads: [1, 1], ..Layout::plain(1, 1, 3) };
    let graph = one_convolution(&layout, &[1.0, 127.0, 1.0], &[0.0]);
    let known =
        ranges(&[("x", vec![channel(-51.0, 204.0, 1.0)]), ("y", vec![channel(-12_800.0, 12_700.0, 1.0)])]);
    let (graph, _) = quantized(graph, &scheme(known));
    assert_eq!(integers(&graph, "x_quantized_zero_point"), [51]);
    assert_eq!(integers(&graph, "q/zero.51"), [51]);
    let known = evaluate(&graph, &[vec![100.0, 0.0, 0.0]]);
    assert_eq!(known["y"].rows, [[12_700.0, 100.0, 0.0]]);
}

fn random(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    }
}

/// What is known of the channels of a value that one run gave.
fn measured(rows: &[Vec<f64>]) -> Vec<Channel> {
    let of = |row: &Vec<f64>| {
        let mean =
            |function: fn(f64) -> f64| row.iter().map(|&x| function(x)).sum::<f64>() / row.len() as f64;
        let low = row.iter().copied().fold(0.0, f64::min) as f32;
        let high = row.iter().copied().fold(0.0, f64::max) as f32;
        Channel { low, high, mean: mean(|x| x) as f32, mean_square: mean(|x| x * x) as f32 }
    };
    rows.iter().map(of).collect()
}

/// Every output is within what the scales allow: half a step of each input and of each weight, and of the output.
#[test]
fn the_quantized_convolution_is_near_the_float_one() {
    let wide = Layout::plain(6, 5, 3);
    let layouts = [
        Layout::plain(4, 3, 1),
        Layout { pads: [1, 1], ..wide.clone() },
        Layout { pads: [0, 4], dilation: 2, ..wide.clone() },
        Layout { pads: [2, 1], stride: 2, ..wide.clone() },
        Layout { groups: 3, per_group: 2, pads: [1, 1], ..wide.clone() },
        Layout { outputs: 4, per_group: 1, groups: 4, pads: [1, 1], ..wide },
    ];
    for (seed, layout) in layouts.iter().enumerate() {
        for weight_levels in [127u8, 64] {
            let mut next = random(seed as u64 + 1);
            // Channels of very unlike size, some of them on one side of 0.
            let x: Vec<Vec<f64>> = (0..layout.inputs())
                .map(|channel| {
                    let size = 10f32.powi(channel as i32 % 4 - 2);
                    let offset = if channel % 3 == 1 { 0.8 } else { 0.0 };
                    (0..40).map(|_| f64::from((next() + offset) * size)).collect()
                })
                .collect();
            let weights: Vec<f32> = (0..layout.dims().iter().product()).map(|_| next()).collect();
            let bias: Vec<f32> = (0..layout.outputs).map(|_| next()).collect();
            let float = one_convolution(layout, &weights, &bias);
            let exact = evaluate(&float, &x)["y"].rows.clone();
            let mut scheme = scheme(ranges(&[("x", measured(&x)), ("y", measured(&exact))]));
            scheme.weight_levels = weight_levels;
            let (graph, _) = quantized(float, &scheme);
            let levels = integers(&graph, "y_weight");
            assert!(
                levels.iter().all(|level| level.unsigned_abs() <= u64::from(weight_levels)),
                "{layout:?}"
            );

            let input_scales = floats(&graph, "x_quantized_scale");
            let (steps, scales) = (floats(&graph, "y_weight_scale"), floats(&graph, "y_scale"));
            let found = &evaluate(&graph, &x)["y"].rows;
            for (output, (found, exact)) in found.iter().zip(&exact).enumerate() {
                let first = output / (layout.outputs / layout.groups) * layout.per_group;
                let step = f64::from(steps[output]) * f64::from(scales[output]);
                let mut bound = f64::from(scales[output]) + step;
                for at in 0..layout.per_group * layout.kernel {
                    let index = output * layout.per_group * layout.kernel + at;
                    let scale = f64::from(input_scales[first + at / layout.kernel]);
                    let folded = f64::from(weights[index]) * scale;
                    let off = (folded - levels[index] as f64 * step).abs();
                    // Half a step of the input, and a weight's own error at up to 255 levels of the input. The mean
                    // that the bias takes up is an error of the weight at no more levels.
                    bound += 0.5 * folded.abs() + 2.0 * 255.5 * off;
                }
                for (found, exact) in found.iter().zip(exact) {
                    assert!((found - exact).abs() <= bound, "{layout:?}: {found} for {exact}, bound {bound}");
                }
            }
            // And in the mean it is far nearer than that.
            let power = |rows: &[Vec<f64>]| rows.iter().flatten().map(|x| x * x).sum::<f64>();
            let off: Vec<Vec<f64>> = found
                .iter()
                .zip(&exact)
                .map(|(found, exact)| found.iter().zip(exact).map(|(a, b)| a - b).collect())
                .collect();
            let ratio = 10.0 * (power(&exact) / power(&off)).log10();
            assert!(ratio > if weight_levels == 127 { 36.0 } else { 32.0 }, "{layout:?}: {ratio} dB");
        }
    }
}

/// `x → Neg → h`, which two convolutions read, and a third reads what the first one makes.
fn three_convolutions() -> GraphProto {
    let layout = Layout::plain(2, 2, 1);
    let mut graph = one_convolution(&layout, &[1.0, 0.5, -0.25, 1.0], &[0.5, 0.0]);
    graph.node = vec![
        node("Neg", "front", &["x"], &["h"]),
        layout.node("a", &["h", "w", "b"], "ya"),
        layout.node("b", &["h", "v"], "yb"),
        layout.node("c", &["ya", "v"], "yc"),
        node("MatMul", "product", &["yb", "m"], &["y"]),
    ];
    graph.initializer.push(tensor::from_f32("v", &layout.dims(), &[2.0, 0.0, 0.0, 2.0]));
    graph.initializer.push(tensor::from_f32("m", &[3, 3], &[0.5; 9]));
    graph.output.push(value("yc"));
    graph
}

#[test]
fn a_value_is_quantized_once_for_all_that_read_it() {
    let both = vec![channel(-1.0, 1.0, 0.1); 2];
    let known: Vec<_> = ["h", "ya", "yb", "yc"].into_iter().map(|name| (name, both.clone())).collect();
    let (graph, summary) = quantized(three_convolutions(), &scheme(ranges(&known)));
    assert_eq!((summary.convolutions, summary.quantized), (3, 4));
    let operators = census::operators(&graph);
    assert_eq!((operators["QuantizeLinear"], operators["QLinearConv"]), (2, 3));
    assert_eq!(operators["DequantizeLinear"], 3);
    let readers: Vec<&str> = View::new(&graph).consumers("h_quantized").map(NodeProto::name).collect();
    assert_eq!(readers, ["a", "b"]);
    // The other weights are stored as `weights-int8` stores them, and those of the convolutions as they are used.
    assert!(View::new(&graph).initializer("m_int8").is_some());
    for name in ["w", "v", "b"] {
        assert!(View::new(&graph).initializer(name).is_none(), "`{name}` is left");
    }
    for never in ["ConvInteger", "Conv"] {
        assert!(!operators.contains_key(never), "{operators:?}");
    }
}

#[test]
fn only_what_is_selected_computes_in_integers() {
    let known = ranges(&[("h", vec![channel(-1.0, 1.0, 0.1); 2]), ("yb", vec![channel(-1.0, 1.0, 0.1); 2])]);
    let mut scheme = scheme(known);
    scheme.convolutions.include = Some(quantizer::schemes::pattern("^[ab]$").unwrap());
    scheme.convolutions.exclude = Some(quantizer::schemes::pattern("a").unwrap());
    let (graph, summary) = quantized(three_convolutions(), &scheme);
    assert_eq!(summary.convolutions, 1);
    assert_eq!(graph.node.iter().filter(|node| is(node, "Conv")).count(), 2);
}

#[test]
fn a_channel_that_matters_little_gets_a_larger_scale() {
    // Its weights are a hundredth of the other's, and so is what its rounding does.
    let layout = Layout::plain(1, 2, 1);
    let graph = one_convolution(&layout, &[1.0, 0.01], &[0.0]);
    let known = ranges(&[("x", vec![channel(-1.0, 1.0, 0.1); 2]), ("y", vec![channel(-2.0, 2.0, 0.2)])]);
    let (graph, _) = quantized(graph, &scheme(known));
    let scales = floats(&graph, "x_quantized_scale");
    assert!(scales[1] > 2.0 * scales[0], "{scales:?}");
    assert_eq!(integers(&graph, "y_weight")[0], 127);
}

#[test]
fn the_bias_takes_up_what_rounding_does_to_the_mean() {
    // 1.3 of 127 is rounded to 1, and its input has the mean 100: 30 are missing.
    let layout = Layout::plain(1, 2, 1);
    let graph = one_convolution(&layout, &[127.0, 1.3], &[0.0]);
    let mut inputs = vec![channel(-128.0, 127.0, 1.0); 2];
    inputs[1] = Channel { mean: 100.0, mean_square: 10_001.0, ..inputs[1] };
    let known = ranges(&[("x", inputs), ("y", vec![channel(-12_800.0, 12_700.0, 1.0)])]);
    let (graph, _) = quantized(graph, &scheme(known));
    assert_eq!(integers(&graph, "y_weight"), [127, 1]);
    assert_eq!(integers(&graph, "y_bias"), [30]);
}

#[test]
fn rewrites_run_first() {
    // A transposed convolution is none that can be selected, until it is written as one.
    let mut graph = one_convolution(&Layout::plain(1, 1, 4), &[1.0, 2.0, 3.0, 4.0], &[0.0]);
    let mut transposed = node("ConvTranspose", "up", &["x", "w", "b"], &["y"]);
    transposed.attribute = graph.node[0].attribute.split_off(3);
    transposed.attribute.push(quantizer::proto::AttributeProto {
        name: Some("strides".into()),
        ints: vec![2],
        ..Default::default()
    });
    graph.node = vec![transposed];
    let channels = vec![channel(-9.0, 9.0, 1.0); 2];
    let known = ranges(&[("x", vec![channel(-1.0, 1.0, 0.1)]), ("y/phases", channels)]);
    let mut with = scheme(known.clone());
    with.rewrites = vec![rewrite::pass("polyphase").unwrap()];
    assert_eq!(quantized(graph.clone(), &with).1.convolutions, 1);
    assert_eq!(quantized(graph, &scheme(known)).1.convolutions, 0);
}

#[test]
fn weights_of_zero_leave_the_bias() {
    let layout = Layout { groups: 1, ..Layout::plain(2, 1, 1) };
    let mut graph = one_convolution(&layout, &[0.0, 1.0], &[0.75, 1e9]);
    graph.node[0].attribute.push(integer_attribute("unknown", 1));
    let known = ranges(&[
        ("x", vec![channel(-1.0, 1.0, 0.1)]),
        ("y", vec![channel(-1.0, 1.0, 0.5), channel(0.0, 2e9, 1e18)]),
    ]);
    let (graph, _) = quantized(graph, &scheme(known));
    let found = &evaluate(&graph, &[vec![-1.0, 0.5]])["y"].rows;
    let near = |found: f64, expected: f64, step: f64| (found - expected).abs() <= step;
    assert!(found[0].iter().all(|&y| near(y, 0.75, 1.0 / 255.0)), "{found:?}");
    assert!(found[1].iter().all(|&y| near(y, 1e9, 2e9 / 255.0)), "{found:?}");
}

/// x86 without VNNI adds two products of a uint8 and an int8 in 16 bits, with saturation.
#[test]
fn levels_of_64_leave_room_in_sixteen_bits() {
    let layout = Layout::plain(2, 16, 3);
    let mut next = random(7);
    let weights: Vec<f32> = (0..layout.dims().iter().product()).map(|_| next()).collect();
    let worst = |weight_levels: u8| {
        let known =
            ranges(&[("x", vec![channel(-1.0, 1.0, 0.1); 16]), ("y", vec![channel(-9.0, 9.0, 1.0); 2])]);
        let scheme = StaticInt8 { weight_levels, ..scheme(known) };
        let (graph, _) = quantized(one_convolution(&layout, &weights, &[0.0; 2]), &scheme);
        let levels = integers(&graph, "y_weight");
        // Whichever two meet: the sum of the two largest of one sign, each times 255.
        let two = |sign: i64| {
            let mut signed: Vec<i64> = levels.iter().map(|level| sign * level).collect();
            signed.sort_unstable();
            255 * signed.iter().rev().take(2).sum::<i64>()
        };
        (two(1), two(-1))
    };
    let (up, down) = worst(64);
    assert!(up <= i64::from(i16::MAX) && -down >= i64::from(i16::MIN), "{up} and -{down}");
    let (up, down) = worst(127);
    assert!(
        up > i64::from(i16::MAX) && -down < i64::from(i16::MIN),
        "{up} and -{down}: nothing to guard against"
    );
}
