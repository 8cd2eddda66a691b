//! Speech of any length: text or phonemes, sentence by sentence.

use std::borrow::Cow;

use crate::audio::Audio;
use crate::cancellation::Cancellation;
use crate::error::{Error, ErrorKind};
use crate::pause;
#[cfg(feature = "english")]
use crate::speaker::Speaker;
#[cfg(feature = "english")]
use crate::split::split_text;
use crate::split::{Boundary, Pieces, split_phonemes};
use crate::synthesizer::{SAMPLE_RATE, Synthesizer, check_speed};
#[cfg(feature = "english")]
use crate::text::{Content, English, content};
use crate::vocabulary::tokenize;
use crate::voice::{MAX_PHONEMES, VoiceStyles};

/// A sentence that was said, with the pause behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// Its text; empty where phonemes were given.
    pub text: String,
    /// Its phonemes.
    pub phonemes: String,
    /// Its sound.
    pub audio: Audio,
}

impl Synthesizer {
    /// The longest text that [`Self::say`] takes, in bytes: about two hours of speech, which are 700 MB.
    #[cfg(feature = "english")]
    pub const MAX_TEXT: usize = 100_000;

    /// Says a text. `speed` is as in [`Self::speak_tokens`].
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "embed", feature = "voices"))]
    /// # fn say() -> Result<(), kokoro_model::Error> {
    /// use kokoro_model::{Runtime, Speaker, Synthesizer, Voice};
    ///
    /// let runtime = Runtime::load()?;
    /// let mut synthesizer = Synthesizer::embedded(&runtime)?;
    /// synthesizer.say("Hello there.", Voice::AfHeart, 1.0)?.write_wav("hello.wav")?;
    /// let speaker: Speaker = "af_heart+am_adam:0.3".parse()?;
    /// synthesizer.say("Hello from two.", speaker, 1.0)?.write_wav("two.wav")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::TextTooLong`] for more than [`Self::MAX_TEXT`], else those of [`Self::stream`] and its items.
    #[cfg(feature = "english")]
    pub fn say(&mut self, text: &str, voice: impl Into<Speaker>, speed: f32) -> Result<Audio, Error> {
        if text.len() > Self::MAX_TEXT {
            return Err(ErrorKind::TextTooLong { bytes: text.len(), most: Self::MAX_TEXT }.into());
        }
        self.stream(text, voice, speed)?.join()
    }

    /// Says a text of any length, sentence by sentence: the next one is begun when it is asked for. A sentence of more than
    /// 510 characters comes in several parts.
    ///
    /// ```no_run
    /// # #[cfg(feature = "voices")]
    /// # fn stream(synthesizer: &mut kokoro_model::Synthesizer) -> Result<(), kokoro_model::Error> {
    /// # fn play(_: &[f32]) {}
    /// let text = "The first sentence plays. Meanwhile the second is made.";
    /// for utterance in synthesizer.stream(text, kokoro_model::Voice::BfEmma, 1.0)? {
    ///     let utterance = utterance?;
    ///     println!("{}", utterance.text);
    ///     play(&utterance.audio.samples);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Before anything is said: [`ErrorKind::NothingToSay`], [`ErrorKind::Speed`], [`ErrorKind::LanguageWithoutText`],
    /// and those of [`Speaker::styles`]. The items: [`ErrorKind::Unpronounceable`], [`ErrorKind::Cancelled`],
    /// and those of [`Self::speak_tokens`]. After an error the stream ends.
    #[cfg(feature = "english")]
    pub fn stream(
        &mut self,
        text: &str,
        voice: impl Into<Speaker>,
        speed: f32,
    ) -> Result<SpeechStream<'_>, Error> {
        let speaker = voice.into();
        check_speed(speed)?;
        let english = English::of(speaker.language())?;
        let script = Script { text: text.to_owned(), written: Written::English(english) };
        SpeechStream::new(self, script, Cow::Owned(speaker.styles()?), speed)
    }

    /// Says phonemes of any length: the symbols that [`tokenize`] knows. `speed` is as in [`Self::speak_tokens`].
    ///
    /// ```no_run
    /// # fn speak(synthesizer: &mut kokoro_model::Synthesizer, styles: &kokoro_model::VoiceStyles)
    /// # -> Result<(), kokoro_model::Error> {
    /// synthesizer.speak_phonemes("bɔ̃ʒˈuʁ!", styles, 1.0)?.write_wav("bonjour.wav")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Self::stream_phonemes`] and its items.
    pub fn speak_phonemes(
        &mut self,
        phonemes: &str,
        styles: &VoiceStyles,
        speed: f32,
    ) -> Result<Audio, Error> {
        self.stream_phonemes(phonemes, styles, speed)?.join()
    }

    /// Says phonemes of any length, sentence by sentence, as [`Cancellation`] shows.
    ///
    /// # Errors
    /// Before anything is said: [`ErrorKind::UnknownPhoneme`], [`ErrorKind::NothingToSay`], [`ErrorKind::Speed`]. The
    /// items: [`ErrorKind::Cancelled`] and those of [`Self::speak_tokens`]. After an error the stream ends.
    pub fn stream_phonemes<'a>(
        &'a mut self,
        phonemes: &str,
        styles: &'a VoiceStyles,
        speed: f32,
    ) -> Result<SpeechStream<'a>, Error> {
        check_speed(speed)?;
        tokenize(phonemes)?;
        let script = Script { text: phonemes.to_owned(), written: Written::Phonemes };
        SpeechStream::new(self, script, Cow::Borrowed(styles), speed)
    }
}

/// What is to be said.
struct Script {
    text: String,
    written: Written,
}

/// What a script is written in.
#[derive(Clone, Copy)]
enum Written {
    #[cfg(feature = "english")]
    English(&'static English),
    Phonemes,
}

/// A sentence of the script, or a part of one.
struct Unit {
    start: usize,
    after: usize,
    end: Boundary,
    /// Marks that are not spoken stood before it, such as a line of asterisks.
    behind_marks: bool,
}

impl Script {
    /// The first unit at or after byte `at` that there is something to say of.
    fn unit(&self, mut at: usize) -> Option<Unit> {
        let mut behind_marks = false;
        loop {
            let piece = self.pieces(at).next()?;
            let start = at + piece.start;
            let after = start + piece.text.len();
            if self.is_speech(piece.text) {
                return Some(Unit { start, after, end: piece.end, behind_marks });
            }
            (at, behind_marks) = (after, true);
        }
    }

    fn pieces(&self, at: usize) -> Pieces<'_> {
        match self.written {
            #[cfg(feature = "english")]
            Written::English(_) => split_text(&self.text[at..], MAX_PHONEMES),
            Written::Phonemes => split_phonemes(&self.text[at..], MAX_PHONEMES),
        }
    }

    fn is_speech(&self, piece: &str) -> bool {
        match self.written {
            #[cfg(feature = "english")]
            Written::English(_) => content(piece) == Content::Speech,
            Written::Phonemes => has_sound(piece),
        }
    }

    /// The text and the phonemes of a unit.
    #[cfg_attr(
        not(feature = "english"),
        allow(clippy::unnecessary_wraps, reason = "only text can have words without phonemes")
    )]
    fn words(&self, unit: &Unit) -> Result<(String, String), Error> {
        let words = &self.text[unit.start..unit.after];
        match self.written {
            #[cfg(feature = "english")]
            Written::English(english) => {
                let phonemes = english.phonemes(words);
                let phonemes = phonemes.map_err(|unspoken| unspoken.within(&self.text, unit.start))?;
                Ok((words.to_owned(), phonemes))
            }
            Written::Phonemes => Ok((String::new(), words.to_owned())),
        }
    }
}

/// Whether there is a letter among the phonemes; marks alone are not spoken.
fn has_sound(phonemes: &str) -> bool {
    phonemes.contains(char::is_alphabetic)
}

/// Speech in the making: gives the sentences in their order. Joined they are what [`Synthesizer::say`] gives.
pub struct SpeechStream<'a> {
    synthesizer: &'a mut Synthesizer,
    script: Script,
    styles: Cow<'a, VoiceStyles>,
    speed: f32,
    cancellation: Cancellation,
    next: Option<Unit>,
    /// Whether nothing was said yet.
    first: bool,
}

impl<'a> SpeechStream<'a> {
    fn new(
        synthesizer: &'a mut Synthesizer,
        script: Script,
        styles: Cow<'a, VoiceStyles>,
        speed: f32,
    ) -> Result<Self, Error> {
        let next = Some(script.unit(0).ok_or(ErrorKind::NothingToSay)?);
        let cancellation = Cancellation::new();
        Ok(Self { synthesizer, script, styles, speed, cancellation, next, first: true })
    }

    /// The same speech, which `cancellation` can end: it then gives one [`ErrorKind::Cancelled`] and no more.
    ///
    /// [`Cancellation`] shows how.
    #[must_use]
    pub fn cancelled_by(mut self, cancellation: &Cancellation) -> Self {
        self.cancellation = cancellation.clone();
        self
    }

    /// Says all that is left, and joins it.
    ///
    /// # Errors
    /// The first error of an item; [`ErrorKind::NothingToSay`] if nothing was left.
    pub fn join(self) -> Result<Audio, Error> {
        let mut samples = Vec::new();
        for utterance in self {
            samples.extend(utterance?.audio.samples);
        }
        if samples.is_empty() {
            return Err(ErrorKind::NothingToSay.into());
        }
        Ok(Audio { samples, sample_rate: SAMPLE_RATE })
    }

    /// Says the next unit that has a sound.
    fn utter(&mut self) -> Result<Option<Utterance>, Error> {
        while let Some(unit) = self.next.take() {
            if self.cancellation.is_cancelled() {
                return Err(ErrorKind::Cancelled.into());
            }
            let (text, phonemes) = self.script.words(&unit)?;
            let following = self.script.unit(unit.after);
            let joint =
                following.as_ref().map(|next| if next.behind_marks { Boundary::Paragraph } else { unit.end });
            let samples = self.sentence(&phonemes, joint)?;
            self.next = following;
            if !samples.is_empty() {
                self.first = false;
                let audio = Audio { samples, sample_rate: SAMPLE_RATE };
                return Ok(Some(Utterance { text, phonemes, audio }));
            }
        }
        Ok(None)
    }

    /// Says one sentence, in several runs if it has more phonemes than the model takes.
    fn sentence(&mut self, phonemes: &str, joint: Option<Boundary>) -> Result<Vec<f32>, Error> {
        let mut parts = Vec::new();
        if phonemes.chars().count() <= MAX_PHONEMES {
            parts.push((phonemes, Boundary::Sentence));
        } else {
            parts.extend(split_phonemes(phonemes, MAX_PHONEMES).map(|piece| (piece.text, piece.end)));
        }
        parts.retain(|(part, _)| has_sound(part));
        let last = parts.len().saturating_sub(1);
        let mut sentence = Vec::new();
        for (index, (part, end)) in parts.into_iter().enumerate() {
            let tokens = tokenize(part)?;
            let style = self.styles.style(tokens.len());
            let audio = self.synthesizer.speak_cancellable(&tokens, style, self.speed, &self.cancellation)?;
            let mut samples = audio.samples;
            let first = self.first && index == 0;
            pause::fit(&mut samples, first, if index == last { joint } else { Some(end) }, self.speed);
            sentence.extend(samples);
        }
        Ok(sentence)
    }
}

impl Iterator for SpeechStream<'_> {
    type Item = Result<Utterance, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.utter().transpose()
    }
}

impl std::iter::FusedIterator for SpeechStream<'_> {}

impl std::fmt::Debug for SpeechStream<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = self.next.as_ref().map_or(self.script.text.len(), |unit| unit.start);
        formatter
            .debug_struct("SpeechStream")
            .field("bytes", &self.script.text.len())
            .field("said", &said)
            .finish_non_exhaustive()
    }
}
