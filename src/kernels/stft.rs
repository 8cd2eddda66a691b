//! The short-time Fourier transform of a real signal.

use std::f32::consts::PI;

use super::Kernels;
use super::dispatch::Kernel;
use super::vectors::Vectors;

/// How many frames are transformed side by side.
const LANES: usize = 16;

/// One number for each of the frames.
type Lane = [f32; LANES];

/// The discrete Fourier transform of windowed frames of a fixed length F, from 0 to half of the sampling rate: F/2 + 1
/// complex numbers for each frame.
///
/// What ONNX Runtime 1.26 computes for a length that is not a power of two, operation by operation, so its very bits. They
/// matter where a result is nothing but rounding noise, as the imaginary parts at both ends of the spectrum are: the signs of
/// these decide phases that Kokoro reads. It is the chirp transform (Bluestein 1970), by fast transforms of the least power of
/// two M that holds 2F − 1, decimated in time, whose sines are those of the system's mathematics library. No number is fused or added
/// in another order, so every instruction set gives the same bits.
#[derive(Clone, Debug)]
pub struct Stft {
    window: Vec<f32>,
    /// `exp(−πi · n²/F)`, for each sample of a frame.
    chirp: Vec<Complex>,
    /// The transform of the conjugate of the chirp, whose index goes around.
    filter: Vec<Complex>,
    transform: Transform,
}

impl Stft {
    /// Frames as long as `window`, which each of them is multiplied by.
    pub fn new(window: &[f32]) -> Self {
        let length = window.len();
        let chirp: Vec<_> =
            (0..length).map(|n| Complex::turned(-PI * n as f32 * n as f32 / length as f32)).collect();
        let size = (2 * length).saturating_sub(1).next_power_of_two();
        let transform = Transform::new(size);
        let mut wave = vec![Split::default(); size];
        for (n, &Complex { re, im }) in chirp.iter().enumerate() {
            let conjugate = Split::all(Complex { re, im: -im });
            wave[n] = conjugate;
            wave[(size - n) % size] = conjugate;
        }
        let mut filter = vec![Split::default(); size];
        transform.run(&wave, &mut filter);
        let filter = filter.iter().map(|values| Complex { re: values.re[0], im: values.im[0] }).collect();
        Self { window: window.to_vec(), chirp, filter, transform }
    }

    /// How many numbers a spectrum has: real and imaginary part of each frequency in turn.
    pub fn numbers(&self) -> usize {
        2 * (self.window.len() / 2 + 1)
    }

    /// How many frames, each `step` after the one before, a signal of `samples` has.
    pub fn frames(&self, samples: usize, step: usize) -> usize {
        samples.checked_sub(self.window.len()).map_or(0, |rest| rest / step + 1)
    }

    /// Transforms the first frames of `signal`, as many as `spectra` has place for: [frames, [`Self::numbers`]].
    ///
    /// # Panics
    /// If `step` is 0, if there are fewer frames, or if `spectra` ends within one.
    pub fn transform(&self, signal: &[f32], step: usize, spectra: &mut [f32], kernels: Kernels) {
        assert!(spectra.len().is_multiple_of(self.numbers()), "whole spectra");
        let frames = spectra.len() / self.numbers();
        assert!(frames <= self.frames(signal.len(), step), "as many frames as spectra");
        kernels.run(Frames { stft: self, signal, step, spectra });
    }
}

/// A complex number.
#[derive(Clone, Copy, Debug)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    fn turned(angle: f32) -> Self {
        Self { re: angle.cos(), im: angle.sin() }
    }
}

/// A complex number of each frame.
#[derive(Clone, Copy, Debug, Default)]
struct Split {
    re: Lane,
    im: Lane,
}

impl Split {
    fn all(Complex { re, im }: Complex) -> Self {
        Self { re: [re; LANES], im: [im; LANES] }
    }

    #[inline(always)]
    fn times(&self, other: Complex) -> Self {
        let mut product = Self::default();
        for lane in 0..LANES {
            product.re[lane] = self.re[lane] * other.re - self.im[lane] * other.im;
            product.im[lane] = self.re[lane] * other.im + self.im[lane] * other.re;
        }
        product
    }

    #[inline(always)]
    fn plus(&self, other: &Self) -> Self {
        let mut sum = Self::default();
        for lane in 0..LANES {
            sum.re[lane] = self.re[lane] + other.re[lane];
            sum.im[lane] = self.im[lane] + other.im[lane];
        }
        sum
    }
}

/// A fast transform of a power of two.
#[derive(Clone, Debug)]
struct Transform {
    /// Where each value comes from: its index with the bits in reverse.
    order: Vec<usize>,
    /// By what the second of two values is multiplied before it is added to the first one, for the place of this and for its own,
    /// in the order in which they are used.
    factors: Vec<[Complex; 2]>,
}

impl Transform {
    fn new(size: usize) -> Self {
        let reversed = |index: usize, bits: u32| match bits {
            0 => 0,
            bits => index.reverse_bits() >> (usize::BITS - bits),
        };
        let bits = size.trailing_zeros();
        let velocity = -(2.0 * PI) / size as f32;
        // The bits of an index into the turns are reversed twice.
        let factor = |index: usize, stage: u32| {
            Complex::turned(reversed(reversed(index, stage), bits) as f32 * velocity)
        };
        let stages = (1..=bits).flat_map(|stage| {
            let half = 1 << (stage - 1);
            (0..half).map(move |index| [factor(index, stage), factor(half + index, stage)])
        });
        Self { factors: stages.collect(), order: (0..size).map(|index| reversed(index, bits)).collect() }
    }

    /// The transform of `from`, unscaled.
    #[inline(always)]
    fn run(&self, from: &[Split], to: &mut [Split]) {
        const ONE: Complex = Complex { re: 1.0, im: 0.0 };
        for (to, &index) in to.iter_mut().zip(&self.order) {
            // Which can change the sign of a zero, and makes NaN of what is infinite.
            *to = from[index].times(ONE).times(ONE);
        }
        let mut factors = self.factors.iter();
        let mut half = 1;
        while half < to.len() {
            for (index, &[first, second]) in factors.by_ref().take(half).enumerate() {
                for pair in to.chunks_exact_mut(2 * half) {
                    let (even, odd) = (pair[index], pair[half + index]);
                    pair[index] = even.plus(&odd.times(first));
                    pair[half + index] = even.plus(&odd.times(second));
                }
            }
            half *= 2;
        }
    }
}

struct Frames<'a> {
    stft: &'a Stft,
    signal: &'a [f32],
    step: usize,
    spectra: &'a mut [f32],
}

impl Kernel for Frames<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        let Self { stft: Stft { window, chirp, filter, transform }, signal, step, spectra } = self;
        let (size, numbers) = (filter.len(), 2 * (window.len() / 2 + 1));
        let (mut wave, mut spectrum) = (vec![Split::default(); size], vec![Split::default(); size]);
        for (block, spectra) in spectra.chunks_mut(LANES * numbers).enumerate() {
            let signal = &signal[block * LANES * step..];
            let frames = spectra.len() / numbers;
            wave[window.len()..].fill(Split::default());
            for (n, (wave, (&weight, &chirp))) in wave.iter_mut().zip(window.iter().zip(chirp)).enumerate() {
                let mut weighted = Split::default();
                for frame in 0..frames {
                    weighted.re[frame] = signal[frame * step + n] * weight;
                    weighted.im[frame] = 0.0 * weight;
                }
                *wave = weighted.times(chirp);
            }
            transform.run(&wave, &mut spectrum);
            for (value, &filter) in spectrum.iter_mut().zip(filter) {
                *value = value.times(filter);
            }
            // Twice the same way goes around, and back to the index −n.
            transform.run(&spectrum, &mut wave);
            for (frame, spectrum) in spectra.chunks_exact_mut(numbers).enumerate() {
                for (n, (number, &chirp)) in spectrum.chunks_exact_mut(2).zip(chirp).enumerate() {
                    let Split { re, im } = wave[(size - n) % size];
                    let (re, im) = (re[frame] / size as f32, im[frame] / size as f32);
                    number[0] = re * chirp.re - im * chirp.im;
                    number[1] = re * chirp.im + im * chirp.re;
                }
            }
        }
    }
}
