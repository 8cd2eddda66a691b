//! Sounds that the tests measure.

use super::SAMPLE_RATE;

/// White noise with samples evenly spread within ±√3 · `deviation`, the same for the same `seed`.
pub(super) fn noise(seed: u64, count: usize, deviation: f64) -> Vec<f32> {
    // The generator of Knuth, MMIX; its upper bits are the good ones.
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count + 16).map(|_| (12.0_f64.sqrt() * deviation * (next() - 0.5)) as f32).skip(16).collect()
}

/// A sine of `frequency` Hz.
pub(super) fn sine(frequency: f64, count: usize, level: f64) -> Vec<f32> {
    let step = std::f64::consts::TAU * frequency / SAMPLE_RATE;
    (0..count).map(|n| (level * (step * n as f64).sin()) as f32).collect()
}

/// Something like speech: syllables of a voice that glides from 110 to 190 Hz, every fourth one a sibilant, and
/// pauses of a third of the time with a hiss of −85 dB.
pub(super) fn speech(count: usize) -> Vec<f32> {
    let mut samples = noise(11, count, 10.0_f64.powf(-85.0 / 20.0));
    let hiss = noise(12, count, 0.05);
    let mut phase = 0.0;
    for (n, sample) in samples.iter_mut().enumerate() {
        let seconds = n as f64 / SAMPLE_RATE;
        phase += std::f64::consts::TAU * (150.0 + 40.0 * (3.0 * seconds).sin()) / SAMPLE_RATE;
        let (syllable, within) = ((seconds / 0.3) as usize, (seconds / 0.3).fract());
        let envelope = (std::f64::consts::PI * (within / 0.667).min(1.0)).sin().powi(2);
        let sound = if syllable % 4 == 3 {
            f64::from(hiss[n]) - f64::from(hiss[n.saturating_sub(1)])
        } else {
            // Harmonics that fall by 12 dB an octave, up to 6 kHz.
            (1..32).map(|k| 0.2 * (phase * f64::from(k)).sin() / f64::from(k * k)).sum()
        };
        *sample += (envelope * sound) as f32;
    }
    samples
}

/// `samples` times `gain`.
pub(super) fn scaled(samples: &[f32], gain: f32) -> Vec<f32> {
    samples.iter().map(|sample| gain * sample).collect()
}

/// The sum of two sounds.
pub(super) fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}
