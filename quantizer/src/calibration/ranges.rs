//! What was measured, and the ranges that follow from it.

use std::collections::BTreeMap;

use super::{Point, STATISTICS};
use crate::error::{Error, ErrorKind, Result};

/// What is known of one channel of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel {
    /// The lower end of what is represented; never above 0, which is always represented.
    pub low: f32,
    /// The upper end; never below 0.
    pub high: f32,
    /// The mean over time and sentences.
    pub mean: f32,
    /// The mean of the squares.
    pub mean_square: f32,
}

impl Channel {
    /// The same channel with `ratio` of the range.
    #[must_use]
    pub fn times(self, ratio: f32) -> Self {
        Self { low: self.low * ratio, high: self.high * ratio, ..self }
    }

    /// The scale and the zero point of 8 unsigned bits that cover the range: `x ≈ (level − zero) · scale`. A channel
    /// that is always 0 has the scale 1.
    pub fn scale_and_zero(self) -> (f32, u8) {
        let scale = (f64::from(self.high) - f64::from(self.low)) / 255.0;
        if scale < f64::from(f32::MIN_POSITIVE) {
            return (1.0, 128);
        }
        let zero = (-f64::from(self.low) / scale).round_ties_even();
        (scale as f32, zero as u8)
    }
}

/// The channels of every value that was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges {
    /// By the name of the value.
    pub values: BTreeMap<String, Vec<Channel>>,
}

impl Ranges {
    /// The channels of `value`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the value was not measured, has another number of channels, or has a range
    /// that is not finite or leaves 0 out.
    pub fn of(&self, value: &str, channels: usize) -> Result<&[Channel]> {
        let wrong = |message: String| Err(Error::tensor(ErrorKind::Unsupported, value, message));
        let Some(known) = self.values.get(value) else {
            return wrong("expected calibrated ranges, found none\nhint: calibrate with the same selection and rewrites".into());
        };
        if known.len() != channels {
            return wrong(format!("expected ranges of {channels} channels, found {}", known.len()));
        }
        let is_sound = |channel: &Channel| {
            let finite = [channel.low, channel.high, channel.mean, channel.mean_square];
            finite.into_iter().all(f32::is_finite) && channel.low <= 0.0 && channel.high >= 0.0
        };
        match known.iter().position(|channel| !is_sound(channel)) {
            Some(at) => {
                wrong(format!("expected a finite range around 0, found {:?} at channel {at}", known[at]))
            }
            None => Ok(known),
        }
    }

    /// Clips every channel to the ratio with the least error.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a value without errors.
    pub fn choose(&mut self, errors: &Errors, ratios: &[f32]) -> Result<()> {
        for (value, channels) in &mut self.values {
            let sums = errors.sums.get(value).filter(|sums| sums.len() == ratios.len() * channels.len());
            let Some(sums) = sums else {
                let message = "expected measured errors for every ratio, found none";
                return Err(Error::tensor(ErrorKind::Unsupported, value, message));
            };
            let count = channels.len();
            for (index, channel) in channels.iter_mut().enumerate() {
                let of = |ratio: usize| sums[ratio * count + index];
                let best = (0..ratios.len()).min_by(|&a, &b| of(a).total_cmp(&of(b)));
                if let Some(best) = best {
                    *channel = channel.times(ratios[best]);
                }
            }
        }
        Ok(())
    }
}

/// Statistics of several runs.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    values: BTreeMap<String, (u32, Vec<[f64; STATISTICS]>)>,
}

impl Statistics {
    /// Adds what one run gave for a point: the output of [`super::expose_statistics`], row-major.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for another number of values, or for some that are not finite.
    pub fn add(&mut self, point: &Point, output: &[f32]) -> Result<()> {
        let count = point.channels;
        check(point, output, STATISTICS * count)?;
        let (runs, channels) = self
            .values
            .entry(point.value.clone())
            .or_insert_with(|| (0, vec![[f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0]; count]));
        *runs += 1;
        for (index, channel) in channels.iter_mut().enumerate() {
            let row = |row: usize| f64::from(output[row * count + index]);
            *channel =
                [channel[0].min(row(0)), channel[1].max(row(1)), channel[2] + row(2), channel[3] + row(3)];
        }
        Ok(())
    }

    /// The whole ranges, without clipping. Means are over runs, each of which counts the same.
    pub fn ranges(&self) -> Ranges {
        let channel = |runs: u32, [low, high, mean, square]: [f64; STATISTICS]| Channel {
            low: low.min(0.0) as f32,
            high: high.max(0.0) as f32,
            mean: (mean / f64::from(runs)) as f32,
            mean_square: (square / f64::from(runs)) as f32,
        };
        let of = |(value, (runs, channels)): (&String, &(u32, Vec<[f64; STATISTICS]>))| {
            (value.clone(), channels.iter().map(|&it| channel(*runs, it)).collect())
        };
        Ranges { values: self.values.iter().map(of).collect() }
    }
}

/// Squared errors of several runs, relative to how loud it was.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    sums: BTreeMap<String, Vec<f64>>,
}

impl Errors {
    /// Adds what one run gave for a point: the output of [`super::expose_errors`], row-major.
    ///
    /// # Errors
    /// As [`Statistics::add`].
    pub fn add(&mut self, point: &Point, output: &[f32]) -> Result<()> {
        let sums = self.sums.entry(point.value.clone()).or_insert_with(|| vec![0.0; output.len()]);
        check(point, output, sums.len())?;
        for (sum, &error) in sums.iter_mut().zip(output) {
            *sum += f64::from(error);
        }
        Ok(())
    }
}

fn check(point: &Point, output: &[f32], expected: usize) -> Result<()> {
    let wrong = |message: String| Err(Error::tensor(ErrorKind::Unsupported, &point.value, message));
    if output.len() != expected {
        return wrong(format!("expected {expected} measured numbers, found {}", output.len()));
    }
    match output.iter().position(|number| !number.is_finite()) {
        Some(at) => wrong(format!("expected finite measurements, found {} at {at}", output[at])),
        None => Ok(()),
    }
}
