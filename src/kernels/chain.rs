//! Norm and activation of one channel.

use super::activation::{Function, Identity, LeakyRelu, Snake};
use super::dispatch::Kernel;
use super::vectors::Vectors;
use super::{Activation, Kernels, Statistics};

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
/// The mean is taken from the channel before anything else, so a constant one becomes `bias` exactly. Where the norm finds a
/// value that is not finite, all of the channel becomes NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chain {
    /// Where there is none, `x` goes into the activation as it is.
    pub norm: Option<Norm>,
    /// What follows.
    pub activation: Activation,
}

impl Chain {
    /// Takes the channel `x` to `y`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn apply(&self, x: &[f32], y: &mut [f32], kernels: Kernels) {
        assert_eq!(x.len(), y.len(), "a channel and what becomes of it");
        let line = Line::through(self.norm, || Statistics::of(x, kernels));
        match self.activation {
            Activation::None => kernels.run(Map { x, y, line, function: Identity }),
            Activation::LeakyRelu { slope } => kernels.run(Map { x, y, line, function: LeakyRelu { slope } }),
            Activation::Snake { alpha } => kernels.run(Map { x, y, line, function: Snake::new(alpha) }),
        }
    }
}

/// A norm whose mean and variance are known: `(x − centre) · slope + offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    centre: f32,
    slope: f32,
    offset: f32,
}

impl Line {
    /// What leaves every number as it is, −0 too.
    pub(super) const IDENTITY: Self = Self { centre: 0.0, slope: 1.0, offset: -0.0 };

    pub(super) fn through(norm: Option<Norm>, statistics: impl FnOnce() -> Statistics) -> Self {
        let Some(Norm { scale, bias, epsilon }) = norm else { return Self::IDENTITY };
        let Statistics { mean, variance } = statistics();
        let centre = mean as f32;
        let slope = f64::from(scale) / (variance + f64::from(epsilon)).sqrt();
        // What the centre lacks of the mean is made good here.
        let offset = f64::from(bias) - (mean - f64::from(centre)) * slope;
        Self { centre, slope: slope as f32, offset: offset as f32 }
    }

    #[inline(always)]
    pub(super) fn at(self, x: f32) -> f32 {
        (x - self.centre) * self.slope + self.offset
    }
}

struct Map<'a, F> {
    x: &'a [f32],
    y: &'a mut [f32],
    line: Line,
    function: F,
}

impl<F: Function> Kernel for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _: V) {
        let Self { x, y, line, function } = self;
        for (y, &x) in y.iter_mut().zip(x) {
            *y = function.of(line.at(x));
        }
    }
}
