//! Convolutions, beside the runtime's own.

use kokoro_model::{InstructionSet, SynthesizerOptions, probe};

use crate::common;
use crate::graph::{Attribute, Graph, Integer, Integers};
use crate::{noise, tensor};

/// More rows and positions than one thread takes at once, and more channels than are summed up at once.
const SHAPES: [(usize, usize, usize, usize); 5] =
    [(3, 130, 2, 9), (300, 10, 3, 301), (20, 20, 7, 2_003), (16, 136, 11, 900), (2, 3, 5, 40)];

#[test]
fn a_convolution_is_that_of_the_runtime() {
    let runtime = common::runtime();
    for (channels, rows, taps, time) in SHAPES {
        for (dilation, pads) in [(1, [0, 0]), (1, [5, 2]), (3, [taps as i64 - 1; 2])] {
            let graph = Graph::default().input("x", 3);
            let graph = graph.floats(
                "w",
                &[rows as u64, channels as u64, taps as u64],
                &noise(rows * channels * taps),
            );
            let graph = graph.floats("b", &[rows as u64], &noise(rows));
            let stock = [("dilations", Integers(&[dilation])), ("pads", Integers(&pads))];
            let graph = graph.node("Conv", &["x", "w", "b"], "stock", &stock);
            let graph = graph.node("Conv", &["x", "w"], "stock.bare", &stock);
            let ours = [
                ("dilation", Integer(dilation)),
                ("pads_begin", Integer(pads[0])),
                ("pads_end", Integer(pads[1])),
            ];
            let graph = graph.node("ai.kokoro:WinogradConv", &["x", "w", "b"], "ours", &ours);
            let graph = graph.node("ai.kokoro:WinogradConv", &["x", "w"], "ours.bare", &ours);
            let graph = ["stock", "ours", "stock.bare", "ours.bare"].into_iter().fold(graph, Graph::output);
            for batch in [0, 1, 2] {
                let x = tensor(&[batch, channels, time], noise(batch * channels * time));
                let mut bits = Vec::new();
                for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
                    for threads in [1, 2] {
                        let options = SynthesizerOptions::default().threads(threads).instruction_set(set);
                        let mut graph =
                            probe::Graph::from_bytes(&runtime, "convolution", &graph.model(2), &options)
                                .unwrap();
                        let said = graph.run(&[("x", &x)]).unwrap();
                        for (ours, stock) in [("ours", "stock"), ("ours.bare", "stock.bare")] {
                            let (ours, stock) = (&said[ours], &said[stock]);
                            assert_eq!(ours.shape, stock.shape);
                            let largest = ours
                                .values
                                .iter()
                                .zip(&stock.values)
                                .map(|(a, b)| (a - b).abs())
                                .fold(0.0, f32::max);
                            let terms = (channels * taps) as f32;
                            assert!(
                                largest < 1e-5 * (terms.sqrt() + 1.0),
                                "{channels} {rows} {taps} {time}: {largest}"
                            );
                        }
                        bits.push(said["ours"].values.iter().map(|it| it.to_bits()).collect::<Vec<_>>());
                    }
                }
                assert!(bits.windows(2).all(|pair| pair[0] == pair[1]), "{channels} {rows} {taps} {time}");
            }
        }
    }
}

#[test]
fn phases_are_put_in_turn() {
    let (channels, rows, phases, time) = (4, 15, 5, 70);
    let graph = Graph::default().input("x", 3);
    let graph = graph.floats("w", &[rows as u64, channels as u64, 2], &noise(rows * channels * 2));
    let with = |phases: i64| [("phases", Attribute::Integer(phases)), ("pads_begin", Integer(1))];
    let graph = graph.node("ai.kokoro:WinogradConv", &["x", "w"], "apart", &with(1)).output("apart");
    let graph =
        graph.node("ai.kokoro:WinogradConv", &["x", "w"], "joined", &with(phases as i64)).output("joined");
    let options = SynthesizerOptions::default();
    let mut graph =
        probe::Graph::from_bytes(&common::runtime(), "phases", &graph.model(2), &options).unwrap();
    let said = graph.run(&[("x", &tensor(&[1, channels, time], noise(channels * time)))]).unwrap();
    let (apart, joined) = (&said["apart"], &said["joined"]);
    assert_eq!(
        (&*apart.shape, &*joined.shape),
        (&[1, rows, time][..], &[1, rows / phases, time * phases][..])
    );
    for row in 0..rows {
        for t in 0..time {
            let at = row / phases * time * phases + t * phases + row % phases;
            assert_eq!(apart.values[row * time + t], joined.values[at]);
        }
    }
}
