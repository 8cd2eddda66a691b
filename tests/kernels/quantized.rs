//! Convolutions in INT8, beside stock operators that quantize and dequantize.

use std::collections::BTreeMap;

use kokoro_model::{InstructionSet, SynthesizerOptions, probe};

use crate::common;
use crate::graph::{Graph, Integer, Integers};
use crate::{CHANNELS, Tensor, chain, noise, parameters, start, stock, tensor, x};

/// A convolution behind the chain, and how it is called.
#[derive(Clone, Copy)]
struct Case {
    activation: &'static str,
    norm: bool,
    rows: usize,
    taps: usize,
    dilation: i64,
    pads: [i64; 2],
    addends: usize,
}

impl Case {
    /// [M, C, K].
    fn levels(self) -> Vec<i8> {
        noise(self.rows * CHANNELS * self.taps).into_iter().map(|it| (it * 127.0) as i8).collect()
    }

    fn scales(self) -> Vec<f32> {
        noise(self.rows).into_iter().map(|it| 0.01 + 0.005 * it).collect()
    }

    /// The same twice: `stock`, of operators of ONNX alone, and `ours`.
    fn graph(self, activation: &str) -> Graph {
        let Self { norm, rows, taps, dilation, pads, .. } = self;
        let graph =
            if norm { stock(start(), activation) } else { start().node("Identity", &["x"], "stock", &[]) };
        let (levels, scales) = (self.levels(), self.scales());
        let of_row = CHANNELS * taps;
        let weights: Vec<f32> =
            levels.iter().enumerate().map(|(at, &level)| f32::from(level) * scales[at / of_row]).collect();
        let mut packed = vec![0; rows.div_ceil(4) * taps * CHANNELS.div_ceil(4) * 16];
        for (at, level) in levels.into_iter().enumerate() {
            let (row, channel, tap) = (at / of_row, at / taps % CHANNELS, at % taps);
            let group = (row / 4 * taps + tap) * CHANNELS.div_ceil(4) + channel / 4;
            packed[(group * 4 + row % 4) * 4 + channel % 4] = level;
        }
        let dims = [rows.div_ceil(4), taps, CHANNELS.div_ceil(4), 4, 4].map(|length| length as u64);
        let graph = graph
            .floats("w", &[rows as u64, CHANNELS as u64, taps as u64], &weights)
            .levels("packed", &dims, &packed)
            .floats("ws", &[rows as u64], &scales)
            .floats("b", &[rows as u64], &noise(rows))
            .floats("largest", &[], &[127.0]);
        let attributes = [("dilations", Integers(&[dilation])), ("pads", Integers(&pads))];
        let graph = graph
            .node("Abs", &["stock"], "magnitude", &[])
            .node("ReduceMax", &["magnitude", "channels"], "peak", &[])
            .integers("channels", &[1])
            .node("Div", &["peak", "largest"], "step", &[])
            .node("Div", &["stock", "step"], "steps", &[])
            .node("Round", &["steps"], "rounded", &[])
            .node("Mul", &["rounded", "step"], "quantized", &[])
            .node("Conv", &["quantized", "w", "b"], "stock.0", &attributes);
        let ours = [
            ("dilation", Integer(dilation)),
            ("pads_begin", Integer(pads[0])),
            ("pads_end", Integer(pads[1])),
        ];
        let attributes = [&chain(activation)[..], &ours].concat();
        let addends = ["more", "more"];
        let inputs =
            [&["x", "packed", "ws", "b"][..], &parameters(activation, norm), &addends[..self.addends]]
                .concat();
        let graph = graph.node("Cos", &["stock.0"], "more", &[]);
        let graph = (0..self.addends).fold(graph, |graph, at| {
            graph.node("Add", &[&format!("stock.{at}"), "more"], &format!("stock.{}", at + 1), &[])
        });
        graph
            .node("ai.kokoro:DynamicQuantizeConv", &inputs, "ours", &attributes)
            .output("ours")
            .output(&format!("stock.{}", self.addends))
    }
}

const CASES: [Case; 5] = [
    Case { activation: "snake", norm: true, rows: 6, taps: 3, dilation: 1, pads: [1, 1], addends: 0 },
    Case { activation: "leaky_relu", norm: true, rows: 9, taps: 7, dilation: 3, pads: [9, 9], addends: 1 },
    Case { activation: "none", norm: true, rows: 1, taps: 2, dilation: 5, pads: [0, 3], addends: 2 },
    Case { activation: "none", norm: false, rows: 300, taps: 1, dilation: 1, pads: [0, 0], addends: 1 },
    Case { activation: "none", norm: false, rows: 4, taps: 11, dilation: 5, pads: [40, 25], addends: 0 },
];

fn run(graph: &Graph, x: &Tensor, options: &SynthesizerOptions) -> BTreeMap<String, Tensor> {
    let runtime = common::runtime();
    let mut graph = probe::Graph::from_bytes(&runtime, "quantized", &graph.model(2), options).unwrap();
    graph.run(&[("x", x)]).unwrap()
}

#[test]
fn a_convolution_is_that_of_quantized_activations() {
    for case in CASES {
        let graph = case.graph(case.activation);
        let outputs = run(&graph, &x(), &SynthesizerOptions::default());
        let (ours, stock) = (&outputs["ours"], &outputs[&format!("stock.{}", case.addends)]);
        assert_eq!(ours.shape, stock.shape);
        let differences = ours.values.iter().zip(&stock.values).map(|(ours, stock)| (ours - stock).abs());
        // Where a value lies between two levels, the two norms may round it to either: a step of the largest weight.
        let differences: Vec<f32> = differences.collect();
        let far = differences.iter().filter(|&&difference| difference > 1e-4).count();
        let largest = differences.iter().fold(0.0_f32, |largest, &it| largest.max(it));
        let place = format!("{} rows, {} taps: {largest}, {far} far", case.rows, case.taps);
        assert!(largest < 0.2 && far * 50 < differences.len(), "{place}");
        if !case.norm {
            assert_eq!(far, 0, "{place}");
        }
    }
}

#[test]
fn threads_instruction_sets_and_batches_change_no_bit() {
    for case in CASES {
        let graph = case.graph(case.activation);
        let bits = |x: &Tensor, options: &SynthesizerOptions| {
            let outputs = run(&graph, x, options);
            outputs["ours"].values.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        let x = x();
        let first = bits(&x, &SynthesizerOptions::default().threads(1));
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            for threads in [1, 2] {
                let options = SynthesizerOptions::default().threads(threads).instruction_set(set);
                assert!(bits(&x, &options) == first, "{set}, {threads} threads");
            }
        }
        let twice = tensor(&[2, x.shape[1], x.shape[2]], x.values.repeat(2));
        assert!(bits(&twice, &SynthesizerOptions::default()) == first.repeat(2));
    }
}

#[test]
fn no_time_is_taken() {
    let graph = |pads: i64| {
        let graph = start().levels("w", &[1, 3, 2, 4, 4], &[1; 96]).floats("ws", &[4], &[1.0; 4]);
        let graph = graph.floats("b", &[4], &[1.0, 2.0, 3.0, 4.0]);
        let attributes = [&chain("none")[..], &[("pads_end", Integer(pads))]].concat();
        let inputs = ["x", "w", "ws", "b", "", "", ""];
        graph.node("ai.kokoro:DynamicQuantizeConv", &inputs, "ours", &attributes).output("ours")
    };
    let nothing = tensor(&[1, CHANNELS, 0], vec![]);
    let ours = |pads| run(&graph(pads), &nothing, &SynthesizerOptions::default()).remove("ours");
    assert_eq!(ours(2), Some(tensor(&[1, 4, 0], vec![])));
    // Of pads alone something comes out: the bias.
    assert_eq!(ours(3), Some(tensor(&[1, 4, 1], vec![1.0, 2.0, 3.0, 4.0])));
}
