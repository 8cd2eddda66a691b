//! Spectrograms as pictures.

use anyhow::Result;
use png::{BitDepth, ColorType, Compression, Encoder};

use super::colour::{Rgb, STEPS, diverging, sequential};
use crate::fidelity::sound::stft::Stft;

/// Samples of a frame: 43 ms at 24 kHz, which shows harmonics and syllables alike.
const WINDOW: usize = 1024;

/// Samples from frame to frame, where the picture does not become too wide.
const HOP: usize = 256;

/// The most columns of a picture: more than any screen gives it.
const MOST_COLUMNS: usize = 640;

/// Rows of a picture, from 0 Hz to 12 kHz: each is the mean power of this share of the bins.
const ROWS: usize = 128;
const BINS_PER_ROW: usize = WINDOW / 2 / ROWS;

/// How far below the loudest of the base a picture goes, in dB.
pub(super) const DEPTH_DB: f32 = 80.0;

/// The difference at which the colour of a difference is full, in dB.
pub(super) const DIFFERENCE_DB: f32 = 20.0;

/// Powers in dB, shape [columns, rows], rows from 0 Hz upwards.
pub(super) struct Spectrogram {
    powers: Vec<f32>,
}

impl Spectrogram {
    /// The spectrogram of `samples`; two sounds of the same length have as many columns.
    pub(super) fn of(samples: &[f32]) -> Self {
        let hop = HOP.max(samples.len().div_ceil(MOST_COLUMNS));
        let magnitudes = Stft::new(WINDOW, WINDOW, hop).magnitudes(samples);
        // Nyquist's frequency is left out, for the others are a power of two.
        let rows =
            magnitudes.frames().flat_map(|frame| frame[..ROWS * BINS_PER_ROW].chunks_exact(BINS_PER_ROW));
        let power = |bins: &[f32]| {
            let sum: f32 = bins.iter().map(|magnitude| magnitude * magnitude).sum();
            10.0 * (sum / BINS_PER_ROW as f32).max(1e-12).log10()
        };
        Self { powers: rows.map(power).collect() }
    }

    fn columns(&self) -> usize {
        self.powers.len() / ROWS
    }

    /// The power of the loudest spot, in dB.
    pub(super) fn loudest(&self) -> f32 {
        self.powers.iter().copied().fold(f32::MIN, f32::max)
    }

    /// A PNG of the powers from [`DEPTH_DB`] below `loudest` up to it.
    pub(super) fn picture(&self, loudest: f32) -> Result<Vec<u8>> {
        let shade = |at: usize| (self.powers[at] - loudest) / DEPTH_DB + 1.0;
        self.png(&sequential(), shade)
    }

    /// A PNG of how much louder or quieter this is than `base`, of as many columns; what both have below
    /// [`DEPTH_DB`] under the `loudest` is equal.
    pub(super) fn difference(&self, base: &Self, loudest: f32) -> Result<Vec<u8>> {
        let floor = loudest - DEPTH_DB;
        let shade = |at: usize| {
            let difference = self.powers[at].max(floor) - base.powers[at].max(floor);
            difference / (2.0 * DIFFERENCE_DB) + 0.5
        };
        self.png(&diverging(), shade)
    }

    /// A PNG in the colours of `map`; `shade` gives 0 for its first and 1 for its last.
    fn png(&self, map: &[Rgb; STEPS], shade: impl Fn(usize) -> f32) -> Result<Vec<u8>> {
        let columns = self.columns();
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, columns as u32, ROWS as u32);
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_palette(map.concat());
        encoder.set_compression(Compression::High);
        // The first row of a picture is its top.
        let places = (0..ROWS).rev().flat_map(|row| (0..columns).map(move |column| column * ROWS + row));
        let step = |at| (shade(at).clamp(0.0, 1.0) * (STEPS - 1) as f32).round() as u8;
        let pixels: Vec<u8> = places.map(step).collect();
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f32, amplitude: f32) -> Vec<f32> {
        let step = hertz / 24_000.0 * std::f32::consts::TAU;
        (0..24_000).map(|at| amplitude * (at as f32 * step).sin()).collect()
    }

    /// Width, height and the steps of the map, row after row.
    fn decoded(png: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::IDENTITY);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width as usize, info.height as usize, pixels)
    }

    #[test]
    fn a_tone_is_a_line_at_its_frequency() {
        let spectrogram = Spectrogram::of(&tone(3000.0, 0.5));
        let (width, height, pixels) = decoded(&spectrogram.picture(spectrogram.loudest()).unwrap());
        assert_eq!((width, height), (91, ROWS));
        // A row is 93.75 Hz; the tone is on the border between rows 31 and 32, counted from below.
        let column: Vec<u8> = (0..height).map(|row| pixels[row * width + 40]).collect();
        let brightest = column.iter().max().unwrap();
        let bright: Vec<_> = (0..height).filter(|row| column[*row] == *brightest).collect();
        assert!(bright.iter().all(|row| [ROWS - 32, ROWS - 33].contains(row)), "{bright:?}");
        assert!(*brightest as usize >= STEPS - 3);
        assert_eq!(column[0], 0, "there is nothing at 12 kHz");
    }

    #[test]
    fn a_difference_shows_its_sign_and_silence_shows_none() {
        let [base, louder] = [0.1, 0.2].map(|amplitude| Spectrogram::of(&tone(3000.0, amplitude)));
        let (width, _, up) = decoded(&louder.difference(&base, base.loudest()).unwrap());
        let (_, _, down) = decoded(&base.difference(&louder, base.loudest()).unwrap());
        // 6 dB of the 20 that are full colour.
        let at = (ROWS - 32) * width + 40;
        assert_eq!([up[at], down[at]], [41, 22]);
        let (_, _, equal) = decoded(&base.difference(&base, base.loudest()).unwrap());
        assert!(equal.iter().all(|step| *step == 32));
    }

    #[test]
    fn pictures_do_not_grow_without_end() {
        assert_eq!(Spectrogram::of(&[]).columns(), 1);
        assert!(Spectrogram::of(&vec![0.1; 700_000]).columns() <= MOST_COLUMNS);
    }
}
