//! The Fourier transform, to the bit.

use super::*;

/// Also where nothing is left but rounding noise, whose sign is the phase.
#[test]
fn a_transform_is_that_of_the_runtime_to_the_bit() {
    for (frame, step) in [(20, 5), (20, 7), (3, 1), (11, 4), (50, 50), (1_000, 250)] {
        let length = 4_003;
        let tones = |at: usize| 0.1 * (at as f32 * 0.3).sin() + 0.01 * (at as f32 * 2.9).cos();
        let samples = noise(length).into_iter().enumerate().map(|(at, noise)| match at * 8 / length {
            0 => 0.0,
            1 => -0.0,
            2 => 0.25,
            3 => -0.25,
            4 | 5 => tones(at),
            _ => noise,
        });
        let signal = tensor(&[2, length], samples.clone().chain(samples.map(|it| 1e-20 * it)).collect());
        let window: Vec<f32> = (0..frame).map(|at| (at as f32 / frame as f32 * 3.0).sin().powi(2)).collect();
        let graph = Graph::default()
            .input("signal", 2)
            .floats("window", &[frame as u64], &window)
            .integer("step", step)
            .integer("length", frame)
            .node("STFT", &["signal", "step", "window", "length"], "stock", &[("onesided", Integer(1))])
            .node("ai.kokoro:OnesidedSTFT", &["signal", "window"], "ours", &[("frame_step", Integer(step))])
            .output("stock")
            .output("ours");
        let runtime = common::runtime();
        for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
            let options = SynthesizerOptions::default().threads(2).instruction_set(set);
            let mut graph = probe::Graph::from_bytes(&runtime, "stft", &graph.model(2), &options).unwrap();
            let said = graph.run(&[("signal", &signal)]).unwrap();
            assert_eq!(said["stock"].shape, said["ours"].shape);
            let bits = |name: &str| said[name].values.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
            assert!(bits("stock") == bits("ours"), "{frame} {step} {set}");
        }
    }
}
