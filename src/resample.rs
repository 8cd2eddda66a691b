//! Other sample rates than the model's.

use crate::error::ErrorKind;

/// Zero crossings of the sinc on each side: what is above the passband is 80 dB down, by the window.
const ZEROS: usize = 32;

/// The shape of Kaiser's window for 80 dB (Kaiser and Schafer, "On the use of the I0-sinh window", 1980).
const BETA: f64 = 7.857;

/// The rates that speech is written at.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Changes the sample rate of a sound that comes in pieces: by a low-pass filter in phases, one for each place that a new sample
/// may have between two old ones (Crochiere and Rabiner, "Multirate Digital Signal Processing", 1983).
#[derive(Clone, Debug)]
pub struct Resampler {
    /// The ratio of the rates in lowest terms: so many new samples...
    up: usize,
    /// ... for so many old ones.
    down: usize,
    /// For each phase, the filter.
    phases: Vec<Vec<f32>>,
    /// The old samples that the filter still reaches, from the place of the next new sample less half of the filter.
    held: Vec<f32>,
    phase: usize,
    /// The old samples that were given, and new ones that were made.
    given: u64,
    made: u64,
}

impl Resampler {
    /// From one rate to another, in samples per second.
    ///
    /// # Errors
    /// [`ErrorKind::SampleRate`] for a rate outside of 8 to 48 kHz.
    pub fn new(from: u32, to: u32) -> Result<Self, ErrorKind> {
        for found in [from, to] {
            if !RATES.contains(&found) {
                return Err(ErrorKind::SampleRate { found });
            }
        }
        let common = greatest_common_divisor(from, to);
        let (up, down) = ((to / common) as usize, (from / common) as usize);
        // The passband ends below the lower of both rates; the transition of the window takes what is left.
        let band = 0.95 * (f64::from(to) / f64::from(from)).min(1.0);
        let half = (ZEROS as f64 / band).ceil() as usize;
        let phase = |phase: usize| {
            let taps = (0..2 * half).map(|tap| {
                let at = tap as f64 - (half as f64 - 1.0) - phase as f64 / up as f64;
                band * sinc(band * at) * kaiser(at / half as f64)
            });
            let taps: Vec<f64> = taps.collect();
            // So that a constant stays what it is in every phase.
            let sum: f64 = taps.iter().sum();
            taps.into_iter().map(|tap| (tap / sum) as f32).collect()
        };
        let phases = (0..up).map(phase).collect();
        Ok(Self { up, down, phases, held: vec![0.0; half - 1], phase: 0, given: 0, made: 0 })
    }

    /// The new samples that the next old ones give. The last few follow with those after them, or with [`Self::finish`].
    pub fn push(&mut self, samples: &[f32]) -> Vec<f32> {
        self.given += samples.len() as u64;
        self.feed(samples)
    }

    /// The rest: together as long as the sound was.
    pub fn finish(mut self) -> Vec<f32> {
        let all = (self.given * self.up as u64).div_ceil(self.down as u64);
        let left = usize::try_from(all - self.made.min(all)).unwrap_or(usize::MAX);
        let silence = vec![0.0; self.phases[0].len() + self.down];
        let mut rest = self.feed(&silence);
        rest.truncate(left);
        rest
    }

    fn feed(&mut self, samples: &[f32]) -> Vec<f32> {
        if self.up == self.down {
            self.held.clear();
            self.made += samples.len() as u64;
            return samples.to_vec();
        }
        self.held.extend_from_slice(samples);
        let (taps, mut start) = (self.phases[0].len(), 0);
        let mut made = Vec::with_capacity(samples.len() * self.up / self.down + 1);
        while start + taps <= self.held.len() {
            let reached = &self.held[start..start + taps];
            made.push(reached.iter().zip(&self.phases[self.phase]).map(|(sample, tap)| sample * tap).sum());
            self.phase += self.down;
            start += self.phase / self.up;
            self.phase %= self.up;
        }
        self.held.drain(..start.min(self.held.len()));
        self.made += made.len() as u64;
        made
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

fn sinc(x: f64) -> f64 {
    let x = std::f64::consts::PI * x;
    if x.abs() < 1e-12 { 1.0 } else { x.sin() / x }
}

/// Kaiser's window at −1 to 1.
fn kaiser(x: f64) -> f64 {
    if x.abs() > 1.0 { 0.0 } else { bessel(BETA * (1.0 - x * x).sqrt()) / bessel(BETA) }
}

/// The modified Bessel function of the first kind and of order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for index in 1..64 {
        term *= (x / (2.0 * f64::from(index))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f32, samples: usize) -> Vec<f32> {
        let step = std::f32::consts::TAU * hertz / rate as f32;
        (0..samples).map(|index| (step * index as f32).sin()).collect()
    }

    fn resampled(samples: &[f32], to: u32, piece: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(24_000, to).unwrap();
        let mut made: Vec<f32> = samples.chunks(piece).flat_map(|piece| resampler.push(piece)).collect();
        made.extend(resampler.finish());
        made
    }

    #[test]
    fn a_tone_stays_the_tone_at_every_rate() {
        for to in [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] {
            let made = resampled(&tone(24_000, 1_000.0, 24_000), to, 24_000);
            assert_eq!(made.len(), to as usize, "a second is a second");
            let expected = tone(to, 1_000.0, to as usize);
            // The edges see the silence around.
            let inner = to as usize / 20..to as usize - to as usize / 20;
            let worst = inner.map(|at| (made[at] - expected[at]).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{to}: {worst}");
        }
    }

    #[test]
    fn what_a_lower_rate_cannot_hold_is_gone() {
        let made = resampled(&tone(24_000, 6_000.0, 24_000), 8_000, 24_000);
        let loudest = made[800..7_200].iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
        assert!(loudest < 1e-3, "{loudest}");
    }

    #[test]
    fn pieces_give_what_the_whole_gives() {
        let sound = tone(24_000, 440.0, 5_000);
        for to in [8_000, 22_050, 48_000] {
            assert_eq!(resampled(&sound, to, 5_000), resampled(&sound, to, 7), "{to}");
        }
        assert!(resampled(&[], 8_000, 1).is_empty());
    }

    #[test]
    fn rates_that_nobody_plays_are_refused() {
        assert_eq!(Resampler::new(24_000, 96_000).unwrap_err(), ErrorKind::SampleRate { found: 96_000 });
        assert_eq!(Resampler::new(0, 8_000).unwrap_err(), ErrorKind::SampleRate { found: 0 });
    }
}
