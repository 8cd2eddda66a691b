//! How speech is delivered: its pace, its edges and its level.

use ebur128::{EbuR128, Mode};

use crate::error::{Error, ErrorKind};
use crate::synthesizer::{SAMPLE_RATE, check_speed};

/// Up to here samples stay as they are; what is louder is bent so that nothing is beyond full scale: −0.9 dB.
const KNEE: f32 = 0.9;

/// How long a change of the level takes, in samples: 100 ms, so that it is not heard.
const RAMP: usize = SAMPLE_RATE as usize / 10;

/// How speech is to be delivered: a speed, and what else differs from how the voice speaks by itself.
///
/// ```
/// use kokoro_model::Delivery;
///
/// let plain: Delivery = 1.0.into();
/// let podcast = Delivery::new(0.95).trim(true).loudness(-16.0);
/// assert_ne!(plain, podcast);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery {
    pub(crate) speed: f32,
    pub(crate) trim: bool,
    loudness: Option<f32>,
    limit: bool,
}

impl Delivery {
    /// At a speed as in [`Synthesizer::speak_tokens`](crate::Synthesizer::speak_tokens), with nothing else changed but that what
    /// would be louder than full scale is limited.
    pub fn new(speed: f32) -> Self {
        Self { speed, trim: false, loudness: None, limit: true }
    }

    /// Whether the silence before the first and behind the last sound is taken off, but for 30 ms: the model begins with a
    /// third of a second of it.
    #[must_use]
    pub fn trim(mut self, trim: bool) -> Self {
        self.trim = trim;
        self
    }

    /// The integrated loudness to come to, in LUFS (ITU-R BS.1770, EBU R 128), such as −16 for podcasts or −23 for broadcast.
    ///
    /// Of a stream it is that of all sentences so far, so that the level settles with the first ones.
    #[must_use]
    pub fn loudness(mut self, lufs: f32) -> Self {
        self.loudness = Some(lufs);
        self
    }

    /// Whether peaks above −0.9 dB of full scale are bent to stay below it, as they are unless told otherwise. Without, samples
    /// beyond ±1 are possible, and a file of integers clips them.
    #[must_use]
    pub fn limit(mut self, limit: bool) -> Self {
        self.limit = limit;
        self
    }

    /// Whether speech can be delivered so, which is looked at before anything is said, too.
    ///
    /// # Errors
    /// [`ErrorKind::Speed`] and [`ErrorKind::Loudness`].
    pub fn check(&self) -> Result<(), Error> {
        check_speed(self.speed)?;
        match self.loudness {
            Some(found) if !(-70.0..=0.0).contains(&found) => Err(ErrorKind::Loudness { found }.into()),
            _ => Ok(()),
        }
    }
}

impl From<f32> for Delivery {
    fn from(speed: f32) -> Self {
        Self::new(speed)
    }
}

/// Sets the level of speech, piece by piece.
pub(crate) struct Level {
    limit: bool,
    loudness: Option<Loudness>,
}

struct Loudness {
    target: f64,
    meter: EbuR128,
    /// The gain at the end of the piece before; none before the first.
    gain: Option<f32>,
}

impl Level {
    pub(crate) fn of(delivery: &Delivery) -> Result<Self, Error> {
        let loudness = delivery.loudness.map(|target| {
            let meter = EbuR128::new(1, SAMPLE_RATE, Mode::I);
            let refused = |source| Error::with_source(ErrorKind::Loudness { found: target }, source);
            Ok::<_, Error>(Loudness { target: f64::from(target), meter: meter.map_err(refused)?, gain: None })
        });
        Ok(Self { limit: delivery.limit, loudness: loudness.transpose()? })
    }

    /// Sets the level of the next piece.
    pub(crate) fn set(&mut self, samples: &mut [f32]) {
        if let Some(loudness) = &mut self.loudness {
            loudness.set(samples);
        }
        if self.limit {
            for sample in samples {
                *sample = limited(*sample);
            }
        }
    }
}

impl Loudness {
    fn set(&mut self, samples: &mut [f32]) {
        // The meter fails for channels that it was not made for alone.
        let measured = self.meter.add_frames_f32(samples).and_then(|()| self.meter.loudness_global());
        // Of less than 0.4 s of sound nothing can be told.
        let measured = measured.ok().filter(|loudness| loudness.is_finite());
        let gain = match (measured, self.gain) {
            (Some(measured), _) => 10_f64.powf((self.target - measured) / 20.0) as f32,
            (None, gain) => gain.unwrap_or(1.0),
        };
        let before = self.gain.unwrap_or(gain);
        for (index, sample) in samples.iter_mut().enumerate() {
            let share = (index as f32 / RAMP as f32).min(1.0);
            *sample *= before + (gain - before) * share;
        }
        self.gain = measured.map(|_| gain).or(self.gain);
    }
}

/// Bent above the knee, with the slope of a straight line there, towards full scale.
fn limited(sample: f32) -> f32 {
    let over = sample.abs() - KNEE;
    if over <= 0.0 || sample.is_nan() {
        return sample;
    }
    (KNEE + (1.0 - KNEE) * (over / (1.0 - KNEE)).tanh()).copysign(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone of 1 kHz.
    fn tone(seconds: f32, amplitude: f32) -> Vec<f32> {
        let step = std::f32::consts::TAU * 1000.0 / SAMPLE_RATE as f32;
        (0..(seconds * SAMPLE_RATE as f32) as usize)
            .map(|index| amplitude * (step * index as f32).sin())
            .collect()
    }

    #[test]
    fn what_is_too_loud_is_bent_and_the_rest_stays() {
        for sample in [0.0, 0.5, -0.9] {
            assert_eq!(limited(sample), sample);
        }
        assert!((0.9..1.0).contains(&limited(0.95)) && limited(0.95) < 0.95);
        assert!(limited(5.0) <= 1.0 && limited(-5.0) >= -1.0);
        assert!(limited(1.1) > limited(1.0), "it rises");
        assert!(limited(f32::NAN).is_nan());
    }

    #[test]
    fn speech_comes_to_the_loudness_that_is_asked_for() {
        let mut level = Level::of(&Delivery::new(1.0).loudness(-20.0)).unwrap();
        let mut spoken = Vec::new();
        for amplitude in [0.02, 0.03, 0.02, 0.02] {
            let mut piece = tone(2.0, amplitude);
            level.set(&mut piece);
            spoken.extend(piece);
        }
        let mut meter = EbuR128::new(1, SAMPLE_RATE, Mode::I).unwrap();
        meter.add_frames_f32(&spoken).unwrap();
        let loudness = meter.loudness_global().unwrap();
        assert!((loudness + 20.0).abs() < 1.0, "{loudness} LUFS");
        let step = spoken.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.1, "a jump of {step}");
    }

    #[test]
    fn silence_and_short_sounds_stay_as_they_are() {
        let mut level = Level::of(&Delivery::new(1.0).loudness(-20.0)).unwrap();
        let mut silence = vec![0.0; 24_000];
        level.set(&mut silence);
        assert!(silence.iter().all(|sample| *sample == 0.0));
        let mut level = Level::of(&Delivery::new(1.0).loudness(-20.0)).unwrap();
        let mut short = tone(0.1, 0.1);
        level.set(&mut short);
        assert!(short == tone(0.1, 0.1));
    }

    #[test]
    fn what_cannot_be_delivered_is_refused() {
        let refused = |delivery: Delivery| delivery.check().unwrap_err().kind().clone();
        assert_eq!(refused(Delivery::new(0.0)), ErrorKind::Speed { found: 0.0 });
        assert_eq!(refused(Delivery::new(1.0).loudness(3.0)), ErrorKind::Loudness { found: 3.0 });
        assert!(Delivery::new(1.0).loudness(f32::NAN).check().is_err());
        assert!(Delivery::from(1.5).loudness(-16.0).check().is_ok());
    }
}
