//! Voices: one style vector for each length of input.

use crate::error::{Error, ErrorKind};

/// How many values a style has.
pub const STYLE_LEN: usize = 256;

/// How many phonemes the model takes at most, and so how many styles a voice has.
pub const MAX_PHONEMES: usize = 510;

/// A style vector, the `style` input of the model: 256 finite numbers, float32, shape [1, 256].
///
/// The first half sets timbre, the second half prosody.
#[derive(Clone, Debug, PartialEq)]
#[repr(transparent)]
pub struct Style([f32; STYLE_LEN]);

impl Style {
    /// Checks that every value is finite.
    ///
    /// ```
    /// use kokoro_model::{STYLE_LEN, Style};
    ///
    /// assert!(Style::new([0.5; STYLE_LEN]).is_ok());
    /// assert!(Style::new([f32::NAN; STYLE_LEN]).is_err());
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::StyleNotFinite`] for the first value that is not.
    pub fn new(values: [f32; STYLE_LEN]) -> Result<Self, Error> {
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(Self(values)),
            Some(index) => Err(ErrorKind::StyleNotFinite { index, value: values[index] }.into()),
        }
    }

    /// The values.
    pub fn values(&self) -> &[f32; STYLE_LEN] {
        &self.0
    }
}

impl TryFrom<&[f32]> for Style {
    type Error = Error;

    fn try_from(values: &[f32]) -> Result<Self, Error> {
        let values = values.try_into().map_err(|_| ErrorKind::StyleLength { found: values.len() })?;
        Self::new(values)
    }
}

/// The styles of one voice: [510, 1, 256] numbers, one row for each length of input.
#[derive(Clone, Debug, PartialEq)]
pub struct VoiceStyles {
    rows: Vec<Style>,
}

impl VoiceStyles {
    /// The size of a voice file: 510 · 256 float32.
    pub const BYTES: usize = MAX_PHONEMES * STYLE_LEN * size_of::<f32>();

    /// Reads the raw little-endian float32 layout [510, 1, 256] that Kokoro voices are published in.
    ///
    /// ```no_run
    /// let styles = kokoro_model::VoiceStyles::from_bytes(&std::fs::read("af_heart.bin")?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::VoiceSize`] unless there are exactly [`Self::BYTES`] bytes, and
    /// [`ErrorKind::StyleNotFinite`], with the index in the whole file, for a value that is not finite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != Self::BYTES {
            return Err(ErrorKind::VoiceSize { found: bytes.len() }.into());
        }
        let mut rows = Vec::with_capacity(MAX_PHONEMES);
        for (row, bytes) in bytes.chunks_exact(STYLE_LEN * size_of::<f32>()).enumerate() {
            let mut values = [0.0; STYLE_LEN];
            for (column, (value, bytes)) in values.iter_mut().zip(bytes.as_chunks::<4>().0).enumerate() {
                *value = f32::from_le_bytes(*bytes);
                if !value.is_finite() {
                    let index = row * STYLE_LEN + column;
                    return Err(ErrorKind::StyleNotFinite { index, value: *value }.into());
                }
            }
            rows.push(Style(values));
        }
        Ok(Self { rows })
    }

    /// Rows that were computed: one for each number of phonemes, from 1 up.
    #[cfg(feature = "voices")]
    pub(crate) fn from_rows(rows: Vec<[f32; STYLE_LEN]>) -> Result<Self, Error> {
        let rows = rows.into_iter().map(Style::new).collect::<Result<_, _>>()?;
        Ok(Self { rows })
    }

    /// A voice between voices: the mean of their styles by weight. Weights need not sum to 1.
    ///
    /// ```
    /// # use kokoro_model::VoiceStyles;
    /// # fn mixed(heart: VoiceStyles, adam: VoiceStyles) -> Result<VoiceStyles, kokoro_model::Error> {
    /// VoiceStyles::mix(&[(heart, 0.7), (adam, 0.3)])
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::MixEmpty`] without a voice, [`ErrorKind::MixWeight`] for a weight that is negative or not finite,
    /// [`ErrorKind::MixSum`] if all weights are 0.
    pub fn mix(voices: &[(Self, f32)]) -> Result<Self, Error> {
        let weights = normalized(voices.iter().map(|(_, weight)| *weight))?;
        let rows = (0..MAX_PHONEMES).map(|row| {
            let value = |column: usize| {
                let parts = voices.iter().zip(&weights);
                // In float64, so that a voice mixed with itself is itself.
                parts.map(|((voice, _), weight)| weight * f64::from(voice.rows[row].0[column])).sum::<f64>()
                    as f32
            };
            Style(std::array::from_fn(value))
        });
        Ok(Self { rows: rows.collect() })
    }

    /// The style for an input of `phoneme_count` phonemes, the padding not counted.
    ///
    /// `n` phonemes take row `n − 1`, as in the published inference code (`pack[len(ps) - 1]`), so that the
    /// 510 rows serve 1 to 510 phonemes. A count outside of that takes the nearest row; the engine refuses
    /// such an input on its own.
    ///
    /// ```
    /// # use kokoro_model::VoiceStyles;
    /// let styles = VoiceStyles::from_bytes(&vec![0; VoiceStyles::BYTES])?;
    /// let ids = kokoro_model::tokenize("həlˈO.")?;
    /// assert_eq!(styles.style(ids.len()).values(), &[0.0; kokoro_model::STYLE_LEN]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn style(&self, phoneme_count: usize) -> &Style {
        &self.rows[phoneme_count.clamp(1, MAX_PHONEMES) - 1]
    }
}

/// Weights that sum to 1.
fn normalized(weights: impl Iterator<Item = f32>) -> Result<Vec<f64>, ErrorKind> {
    let weights: Vec<f32> = weights.collect();
    if weights.is_empty() {
        return Err(ErrorKind::MixEmpty);
    }
    if let Some(index) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
        return Err(ErrorKind::MixWeight { index, weight: weights[index] });
    }
    let sum: f64 = weights.iter().copied().map(f64::from).sum();
    if sum == 0.0 {
        return Err(ErrorKind::MixSum);
    }
    Ok(weights.into_iter().map(|weight| f64::from(weight) / sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A voice whose every value is its index in the file.
    fn counting_voice() -> Vec<u8> {
        (0..MAX_PHONEMES * STYLE_LEN).flat_map(|index| (index as f32).to_le_bytes()).collect()
    }

    #[test]
    fn the_row_is_the_number_of_phonemes_less_one() {
        let voice = VoiceStyles::from_bytes(&counting_voice()).unwrap();
        for (count, row) in [(1, 0), (2, 1), (509, 508), (510, 509), (0, 0), (511, 509)] {
            let values = voice.style(count).values();
            assert_eq!(values[0], (row * STYLE_LEN) as f32, "{count} phonemes");
            assert_eq!(values[255], (row * STYLE_LEN + 255) as f32, "{count} phonemes");
        }
    }

    #[test]
    fn a_wrong_size_names_both_sizes() {
        for size in [0, 522_239, 522_241] {
            let error = VoiceStyles::from_bytes(&vec![0; size]).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::VoiceSize { found: size });
            let text = error.to_string();
            assert!(text.contains(&size.to_string()) && text.contains("522240"), "{text}");
        }
    }

    #[test]
    fn a_value_that_is_not_finite_is_named_with_its_place() {
        let mut bytes = counting_voice();
        bytes[4 * 300..4 * 301].copy_from_slice(&f32::INFINITY.to_le_bytes());
        let error = VoiceStyles::from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::StyleNotFinite { index: 300, value: f32::INFINITY });
    }

    #[test]
    fn a_style_is_256_finite_values() {
        let error = Style::try_from([0.0; 255].as_slice()).unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::StyleLength { found: 255 });
        let mut values = [0.5; STYLE_LEN];
        assert_eq!(Style::try_from(values.as_slice()).unwrap().values(), &values);
        values[7] = f32::NAN;
        let error = Style::new(values).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::StyleNotFinite { index: 7, value } if value.is_nan()));
    }

    #[test]
    fn a_mix_is_the_weighted_mean() {
        let flat = |value: f32| {
            VoiceStyles::from_bytes(&value.to_le_bytes().repeat(MAX_PHONEMES * STYLE_LEN)).unwrap()
        };
        let mixed = VoiceStyles::mix(&[(flat(1.0), 1.0), (flat(-3.0), 3.0)]).unwrap();
        assert_eq!(mixed, flat(-2.0));
        let voice = VoiceStyles::from_bytes(&counting_voice()).unwrap();
        for parts in [vec![(voice.clone(), 0.3)], vec![(voice.clone(), 0.3), (voice.clone(), 0.7)]] {
            assert_eq!(VoiceStyles::mix(&parts).unwrap(), voice, "a voice with itself is itself");
        }
        let heavy = VoiceStyles::mix(&[(flat(1.0), f32::MAX), (flat(3.0), f32::MAX)]).unwrap();
        assert_eq!(heavy, flat(2.0), "the sum of the weights may be out of range");
    }

    #[test]
    fn what_cannot_be_mixed_has_its_kind() {
        let voice = VoiceStyles::from_bytes(&counting_voice()).unwrap();
        let kind = |weights: &[f32]| {
            let parts: Vec<_> = weights.iter().map(|weight| (voice.clone(), *weight)).collect();
            VoiceStyles::mix(&parts).unwrap_err().kind().clone()
        };
        assert_eq!(kind(&[]), ErrorKind::MixEmpty);
        assert_eq!(kind(&[0.0, -0.0]), ErrorKind::MixSum);
        assert_eq!(kind(&[1.0, -0.5]), ErrorKind::MixWeight { index: 1, weight: -0.5 });
        assert_eq!(kind(&[f32::INFINITY]), ErrorKind::MixWeight { index: 0, weight: f32::INFINITY });
        assert!(matches!(kind(&[f32::NAN]), ErrorKind::MixWeight { index: 0, weight } if weight.is_nan()));
    }
}
