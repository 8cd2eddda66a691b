//! DNSMOS: how listeners would rate a sound, as far as a network can tell that was trained on their votes. It hears
//! one sound at a time and knows nothing of the base, so its opinion is independent of every other metric.
//!
//! Reddy, Gopal and Cutler, *DNSMOS: A non-intrusive perceptual objective speech quality metric to evaluate noise
//! suppressors* (ICASSP 2021), for the score as of ITU-T P.808, and *DNSMOS P.835* (ICASSP 2022), for those as of
//! ITU-T P.835. Everything around the networks is as in the package `speechmos` 0.0.1.1, but for the windows: there
//! one begins each second, so that eight of nine seconds are heard again and a clip that was repeated to fill a window
//! is heard many times over; here windows lie end to end, a ninth of the work.

mod log_mel;
mod resample;

use anyhow::{Context as _, Result, ensure};
use kokoro_model::probe::{Graph, Tensor};
use kokoro_model::{Runtime, SynthesizerOptions};

use self::log_mel::LogMel;
use super::Scores;
use crate::digest::Digest;

/// Samples per second that the networks hear.
const RATE: usize = 16_000;

/// Samples of a window: 9.01 s.
const WINDOW: usize = 144_160;

/// Samples from one window to the next: 9 s.
const HOP: usize = 9 * RATE;

/// What the P.808 network hears of a window: its features are of whole hops, 900 of them.
const P808_WINDOW: usize = WINDOW - 160;

/// The only input of each network.
const INPUT: &str = "input_1";

/// The files of the networks, as they were verified.
#[derive(Debug, Clone)]
pub struct DnsmosModels {
    /// The network of P.835: window float32 [1, 144160] → speech, background and overall float32 [1, 3], raw.
    pub main: Vec<u8>,
    /// The network of P.808: log-mel features float32 [1, 900, 120] → score float32 [1, 1].
    pub p808: Vec<u8>,
}

impl DnsmosModels {
    /// The digests of the two files.
    pub(super) fn digests(&self) -> [Digest; 2] {
        [&self.main, &self.p808].map(|bytes| Digest::of(bytes))
    }
}

/// The networks, loaded. One thread at a time.
pub struct Dnsmos {
    main: Graph,
    p808: Graph,
    log_mel: LogMel,
}

impl Dnsmos {
    /// Loads the networks, to run in one thread each.
    ///
    /// # Errors
    /// The runtime refuses one of them.
    pub fn load(runtime: &Runtime, models: &DnsmosModels) -> Result<Self> {
        let options = SynthesizerOptions::default().threads(1);
        Ok(Self {
            main: Graph::from_bytes(runtime, "DNSMOS P.835", &models.main, &options)?,
            p808: Graph::from_bytes(runtime, "DNSMOS P.808", &models.p808, &options)?,
            log_mel: LogMel::new(),
        })
    }

    /// Rates `samples`, at 24 kHz. What is shorter than a window is repeated; of what is longer, windows of
    /// 9.01 s are rated, one after the other as long as a whole one is left, and the scores are the means. What is beyond full scale is clipped, as a WAV file
    /// would clip it.
    ///
    /// # Errors
    /// There are no samples, or one that is no number; a network does not take what it is given.
    pub fn rate(&mut self, samples: &[f32]) -> Result<Scores> {
        ensure!(!samples.is_empty(), "DNSMOS: expected samples, found none");
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            anyhow::bail!("DNSMOS: expected finite samples, found another at {index}");
        }
        let clipped: Vec<f32> = samples.iter().map(|sample| sample.clamp(-1.0, 1.0)).collect();
        let heard = repeated(resample::to_16_khz(&clipped)?);
        let mut sums = [0.0; 4];
        let windows = windows(heard.len());
        for start in (0..windows).map(|window| window * HOP) {
            let scores = self.window(&heard[start..start + WINDOW])?;
            for (sum, score) in sums.iter_mut().zip(scores) {
                *sum += score;
            }
        }
        let [sig, bak, ovrl, p808] = sums.map(|sum| sum / windows as f64);
        Ok(Scores { ovrl, sig, bak, p808 })
    }

    /// Speech, background, overall and the P.808 score of one window.
    fn window(&mut self, samples: &[f32]) -> Result<[f64; 4]> {
        let window = Tensor { shape: vec![1, WINDOW], values: samples.to_vec() };
        let [sig, bak, ovrl] = run(&mut self.main, &window)?;
        let features = self.log_mel.features(&samples[..P808_WINDOW]);
        let shape = vec![1, features.len() / log_mel::BANDS, log_mel::BANDS];
        let [p808] = run(&mut self.p808, &Tensor { shape, values: features })?;
        let [sig, bak, ovrl] = calibrated([sig, bak, ovrl].map(f64::from));
        Ok([sig, bak, ovrl, f64::from(p808)])
    }
}

/// The `N` values of a network's only output.
fn run<const N: usize>(graph: &mut Graph, input: &Tensor) -> Result<[f32; N]> {
    let outputs = graph.run(&[(INPUT, input)])?;
    let values = outputs.into_values().next().context("DNSMOS: a network without output")?.values;
    let found = values.len();
    values.try_into().ok().with_context(|| format!("DNSMOS: expected {N} scores, found {found}"))
}

/// Raw scores of speech, background and overall, on the scale of listeners: the polynomials that the authors fitted.
fn calibrated([sig, bak, ovrl]: [f64; 3]) -> [f64; 3] {
    let polynomial = |[square, linear, constant]: [f64; 3], x: f64| (square * x + linear) * x + constant;
    [
        polynomial([-0.083_978_78, 1.220_839_53, 0.005_243_9], sig),
        polynomial([-0.131_668_88, 1.609_155_14, -0.396_045_46], bak),
        polynomial([-0.067_662_83, 1.115_464_68, 0.046_025_35], ovrl),
    ]
}

/// `samples`, doubled until they fill a window, as the package does.
fn repeated(mut samples: Vec<f32>) -> Vec<f32> {
    while samples.len() < WINDOW {
        samples.extend_from_within(..);
    }
    samples
}

/// How many windows are rated of so many samples, which are at least [`WINDOW`].
fn windows(samples: usize) -> usize {
    (samples - WINDOW) / HOP + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomials_by_hand() {
        // At 0 the constants, at 1 the sums of the coefficients.
        let close = |found: [f64; 3], expected: [f64; 3]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
        };
        close(calibrated([0.0; 3]), [0.005_243_9, -0.396_045_46, 0.046_025_35]);
        close(calibrated([1.0; 3]), [1.142_104_65, 1.081_440_8, 1.093_827_2]);
        close(calibrated([4.0, 2.0, 3.0]), [3.544_941_54, 2.295_589_3, 2.783_453_92]);
    }

    #[test]
    fn what_is_short_is_repeated() {
        let ramp: Vec<f32> = (0..50_000_u16).map(f32::from).collect();
        let long = repeated(ramp.clone());
        // Doubled, not filled up: 50,000, 100,000, 200,000.
        assert_eq!(long.len(), 200_000);
        assert!(long.chunks(50_000).all(|chunk| chunk == ramp));
        let enough = vec![0.5; WINDOW];
        assert_eq!(repeated(enough.clone()), enough);
    }

    #[test]
    fn every_window_is_inside() {
        for (samples, expected) in [(WINDOW, 1), (WINDOW + HOP - 1, 1), (WINDOW + HOP, 2), (30 * RATE, 3)] {
            assert_eq!(windows(samples), expected, "{samples} samples");
            let heard = (expected - 1) * HOP + WINDOW;
            assert!(heard <= samples && samples < heard + HOP, "{samples} samples");
        }
    }
}
