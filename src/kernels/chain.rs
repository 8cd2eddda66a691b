//! Norm, activation and quantization of one channel.

use super::activation::{Function, Identity, LeakyRelu, Snake};
use super::dispatch::Kernel;
use super::vectors::Vectors;
use super::{Activation, Kernels, Levels, LevelsMut, Quantization, Statistics};

/// How many levels eight bits have.
const LEVELS: usize = 256;

/// The norm of a channel over time: `scale · (x − μ) / √(σ² + ε) + bias`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// The standard deviation that results.
    pub scale: f32,
    /// The mean that results.
    pub bias: f32,
    /// `ε`.
    pub epsilon: f32,
}

/// What is done to a channel: a norm, if there is one, then an activation.
///
/// Each method takes the channel `x` to `y`, of the same length. Levels are taken and given as their [`Quantization`]
/// says. The mean is taken from `x` before anything else, so a constant channel becomes `bias` exactly. Where the norm
/// finds a value that is not finite, all of the channel becomes NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chain {
    /// Where there is none, `x` goes into the activation as it is.
    pub norm: Option<Norm>,
    /// What follows.
    pub activation: Activation,
}

impl Chain {
    /// Floats to floats.
    ///
    /// # Panics
    /// If the lengths differ, as all methods do.
    pub fn floats(&self, x: &[f32], y: &mut [f32], kernels: Kernels) {
        let line = Line::through(self.norm, || Statistics::of_floats(x, kernels));
        self.map(x, y, line, Numbers, kernels);
    }

    /// Floats to levels.
    ///
    /// # Panics
    /// If the lengths differ, or an end is longer than the channel.
    pub fn quantize(&self, x: &[f32], y: LevelsMut<'_>, kernels: Kernels) {
        let line = Line::through(self.norm, || Statistics::of_floats(x, kernels));
        let [first, last] = y.ends;
        self.map(&x[..first.len()], first, line, y.ends_to, kernels);
        self.map(&x[x.len() - last.len()..], last, line, y.ends_to, kernels);
        self.map(x, y.all, line, y.to, kernels);
    }

    /// Levels to floats.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn dequantize(&self, x: Levels<'_>, y: &mut [f32], kernels: Kernels) {
        let line = Line::through(self.norm, || Statistics::of_levels(x, kernels));
        let [first, body, last] = x.places(y);
        self.translate(x.ends_from, [(x.first, first), (x.last, last)], line, Numbers, kernels);
        self.translate(x.from, [(x.body, body)], line, Numbers, kernels);
    }

    /// Levels to levels.
    ///
    /// # Panics
    /// If the lengths differ, or an end is longer than the channel.
    pub fn requantize(&self, x: Levels<'_>, y: LevelsMut<'_>, kernels: Kernels) {
        let line = Line::through(self.norm, || Statistics::of_levels(x, kernels));
        let [first, last] = y.ends;
        let count = x.count();
        let (a, z) = (x.part(0..first.len()), x.part(count - last.len()..count));
        let ([a_first, a_body, a_last], [z_first, z_body, z_last]) = (a.places(first), z.places(last));
        // Both at once, so that they share a table.
        let ends = [(a.first, a_first), (a.last, a_last), (z.first, z_first), (z.last, z_last)];
        self.translate(x.ends_from, ends, line, y.ends_to, kernels);
        self.translate(x.from, [(a.body, a_body), (z.body, z_body)], line, y.ends_to, kernels);

        let [first, body, last] = x.places(y.all);
        self.translate(x.ends_from, [(x.first, first), (x.last, last)], line, y.to, kernels);
        self.translate(x.from, [(x.body, body)], line, y.to, kernels);
    }

    fn map<Y>(&self, x: &[f32], y: &mut [Y], line: Line, end: impl End<Y>, kernels: Kernels) {
        assert_eq!(x.len(), y.len(), "a channel and what becomes of it");
        match self.activation {
            Activation::None => kernels.run(Map { x, y, line, function: Identity, end }),
            Activation::LeakyRelu { slope } => {
                kernels.run(Map { x, y, line, function: LeakyRelu { slope }, end });
            }
            Activation::Snake { alpha } => {
                kernels.run(Map { x, y, line, function: Snake::new(alpha), end });
            }
        }
    }

    /// Levels of one quantization, and what becomes of them, in several parts: by a table, unless the table has more entries
    /// than there are levels. Either gives the same.
    fn translate<Y: Copy + Default, const N: usize>(
        &self,
        from: Quantization,
        parts: [(&[u8], &mut [Y]); N],
        line: Line,
        end: impl End<Y>,
        kernels: Kernels,
    ) {
        let count: usize = parts.iter().map(|(x, _)| x.len()).sum();
        if count == 0 {
            return;
        }
        if count <= LEVELS {
            let mut numbers = [0.0; LEVELS];
            for (x, y) in parts {
                let numbers = &mut numbers[..x.len()];
                kernels.run(Dequantize { x, from, y: numbers });
                self.map(numbers, y, line, end, kernels);
            }
            return;
        }
        let all: [f32; LEVELS] = std::array::from_fn(|level| from.number(level as u8));
        let mut table = [Y::default(); LEVELS];
        self.map(&all, &mut table, line, end, kernels);
        for (x, y) in parts {
            end.look_up(x, &table, y, kernels);
        }
    }
}

/// A norm whose mean and variance are known: `(x − centre) · slope + offset`.
#[derive(Clone, Copy)]
struct Line {
    centre: f32,
    slope: f32,
    offset: f32,
}

impl Line {
    /// What leaves every number as it is, −0 too.
    const IDENTITY: Self = Self { centre: 0.0, slope: 1.0, offset: -0.0 };

    fn through(norm: Option<Norm>, statistics: impl FnOnce() -> Statistics) -> Self {
        let Some(Norm { scale, bias, epsilon }) = norm else { return Self::IDENTITY };
        let Statistics { mean, variance } = statistics();
        let centre = mean as f32;
        let slope = f64::from(scale) / (variance + f64::from(epsilon)).sqrt();
        // What the centre lacks of the mean is made good here.
        let offset = f64::from(bias) - (mean - f64::from(centre)) * slope;
        Self { centre, slope: slope as f32, offset: offset as f32 }
    }

    #[inline(always)]
    fn at(self, x: f32) -> f32 {
        (x - self.centre) * self.slope + self.offset
    }
}

/// What becomes of the values of a function.
trait End<Y>: Copy {
    fn write(self, x: &[f32], y: &mut [Y], line: Line, function: impl Function);

    /// `y[i] = table[x[i]]`.
    fn look_up(self, x: &[u8], table: &[Y; LEVELS], y: &mut [Y], kernels: Kernels);
}

/// They stay as they are.
#[derive(Clone, Copy)]
struct Numbers;

impl End<f32> for Numbers {
    #[inline(always)]
    fn write(self, x: &[f32], y: &mut [f32], line: Line, function: impl Function) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = function.of(line.at(x));
        }
    }

    fn look_up(self, x: &[u8], table: &[f32; LEVELS], y: &mut [f32], kernels: Kernels) {
        kernels.run(LookUp { x, table, y });
    }
}

/// They become levels. A processor looks only so far ahead, and waits for a long chain of operations that need each other; so each
/// step is a loop of its own, over values in the first cache. One loop takes a third longer with AVX2.
impl End<u8> for Quantization {
    #[inline(always)]
    fn write(self, x: &[f32], y: &mut [u8], line: Line, function: impl Function) {
        const BLOCK: usize = 512;
        let (mut normed, mut activated) = ([0.0; BLOCK], [0.0; BLOCK]);
        for (y, x) in y.chunks_mut(BLOCK).zip(x.chunks(BLOCK)) {
            for (number, &x) in normed.iter_mut().zip(x) {
                *number = line.at(x);
            }
            // Not in place: the compiler would leave alone what does not change, one number at a time.
            for (number, &normed) in activated[..x.len()].iter_mut().zip(&normed) {
                *number = function.of(normed);
            }
            for (y, &number) in y.iter_mut().zip(&activated) {
                *y = self.level(number);
            }
        }
    }

    fn look_up(self, x: &[u8], table: &[u8; LEVELS], y: &mut [u8], kernels: Kernels) {
        kernels.look_up(x, table, y);
    }
}

struct Map<'a, Y, F, E> {
    x: &'a [f32],
    y: &'a mut [Y],
    line: Line,
    function: F,
    end: E,
}

impl<Y, F: Function, E: End<Y>> Kernel for Map<'_, Y, F, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        let Self { x, y, line, function, end } = self;
        end.write(x, y, line, function);
    }
}

struct Dequantize<'a> {
    x: &'a [u8],
    from: Quantization,
    y: &'a mut [f32],
}

impl Kernel for Dequantize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = self.from.number(x);
        }
    }
}

struct LookUp<'a> {
    x: &'a [u8],
    table: &'a [f32; LEVELS],
    y: &'a mut [f32],
}

impl Kernel for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = self.table[usize::from(x)];
        }
    }
}
