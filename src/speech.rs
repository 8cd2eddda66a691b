//! Speech of any length: text or phonemes, sentence by sentence.
//!
//! A stream owns its text and finds one sentence at a time, never looking further than two pieces
//! ahead. So the first sentence of any text is heard at once, and a megabyte without a full stop
//! costs no more than one with many. `say` is the stream, joined: they cannot differ.

use std::borrow::Cow;
use std::ops::Deref;

use crate::audio::Audio;
use crate::cancellation::Cancellation;
use crate::delivery::{Delivery, Level};
use crate::error::{Error, ErrorKind};
use crate::pause::{self, Edge};
use crate::pool::PooledSynthesizer;
use crate::speaker::Speaker;
use crate::synthesizer::{SAMPLE_RATE, Spoken, Synthesizer};
#[cfg(feature = "english")]
use crate::text::Reader;
#[cfg(feature = "english")]
use crate::text::notice::Notice;
use crate::text::script::{Joint, Said, Script, Unit, is_speech};
use crate::text::split::{Boundary, Piece, split_phonemes};
use crate::text::vocabulary::tokenize;
use crate::voice::{MAX_PHONEMES, VoiceStyles};
use crate::words::{self, Timeline, Word};

/// What was said: a sentence with the pause behind it, or all of a text. It is used as its [`Audio`].
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// Its text, as it was given; empty where phonemes were given.
    pub text: String,
    /// Its phonemes.
    pub phonemes: String,
    /// Its sound.
    pub audio: Audio,
    words: Option<Vec<Word>>,
}

impl Utterance {
    /// Its words in their order, with the times of each word and of its phonemes in the samples of this audio.
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "english", feature = "voices"))]
    /// # fn words(synthesizer: &mut kokoro_model::Synthesizer) -> Result<(), kokoro_model::Error> {
    /// let said = synthesizer.say("It is 10% off.", kokoro_model::Voice::AfHeart, 1.0)?;
    /// for word in said.words()? {
    ///     println!("{:.3} to {:.3} s: {}", word.start, word.end, word.text);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoDurations`] for a model without an output `durations`, such as an artifact made before there was one.
    pub fn words(&self) -> Result<&[Word], Error> {
        Ok(self.words.as_deref().ok_or(ErrorKind::NoDurations)?)
    }
}

impl Deref for Utterance {
    type Target = Audio;

    fn deref(&self) -> &Audio {
        &self.audio
    }
}

impl Synthesizer {
    /// The longest text that [`Self::say`] takes, in bytes: about two hours of speech, which are 700 MB.
    #[cfg(feature = "english")]
    pub const MAX_TEXT: usize = 100_000;

    /// Says a text. What is said is a speed as in [`Self::speak_tokens`], or a [`Delivery`]. What of the text is unknown is left
    /// out, and told by the crate `log`; [`Self::stream`] has a list of it.
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
    pub fn say(
        &mut self,
        text: &str,
        voice: impl Into<Speaker>,
        delivery: impl Into<Delivery>,
    ) -> Result<Utterance, Error> {
        if text.len() > Self::MAX_TEXT {
            return Err(ErrorKind::TextTooLong { bytes: text.len(), most: Self::MAX_TEXT }.into());
        }
        self.stream(text, voice, delivery)?.join()
    }

    /// Says a text of any length, sentence by sentence: the next one is begun when it is asked for. A long sentence comes in
    /// several parts.
    ///
    /// All of the text is read before, so that whatever is wrong with it is known before the first sentence is said.
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
    /// Before anything is said: [`ErrorKind::NothingToSay`], [`ErrorKind::Speed`], [`ErrorKind::Loudness`], those of
    /// [`Reader::read`], of which there is none for English but what [`Self::unknown`] asks for, and those of [`Speaker::styles`].
    /// The items: [`ErrorKind::Cancelled`], and those of [`Self::speak_tokens`]. After an error the stream ends.
    #[cfg(feature = "english")]
    pub fn stream(
        &mut self,
        text: &str,
        voice: impl Into<Speaker>,
        delivery: impl Into<Delivery>,
    ) -> Result<SpeechStream<'_>, Error> {
        let (speaker, delivery) = (voice.into(), delivery.into());
        delivery.check()?;
        let reader = Reader::new(speaker.language()).unknown(self.unknown).lexicon(self.lexicon.clone());
        self.speak(reader.read(text)?, speaker, delivery)
    }

    /// Says what was read before, by a [`Reader`], or phonemes.
    ///
    /// ```no_run
    /// # #[cfg(all(feature = "english", feature = "voices"))]
    /// # fn speak(synthesizer: &mut kokoro_model::Synthesizer) -> Result<(), kokoro_model::Error> {
    /// use kokoro_model::{Delivery, Language, Reader, Voice};
    ///
    /// let script = Reader::new(Language::AmericanEnglish).read("It is 50% off.")?;
    /// script.notices().iter().for_each(|notice| eprintln!("{notice}"));
    /// let delivery = Delivery::new(1.0).trim(true);
    /// synthesizer.speak(script, Voice::AfHeart, delivery)?.join()?.write_wav("off.wav")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Self::stream`] but for what was read.
    pub fn speak(
        &mut self,
        script: Script,
        voice: impl Into<Speaker>,
        delivery: impl Into<Delivery>,
    ) -> Result<SpeechStream<'_>, Error> {
        let styles = Cow::Owned(voice.into().styles()?);
        SpeechStream::new(Holder::Borrowed(self), script, styles, delivery.into())
    }

    /// As [`Self::speak`], with a synthesizer that goes along: the stream may be sent to another thread, and be held by what lives
    /// as long as it likes, such as the body of a response.
    ///
    /// # Errors
    /// Those of [`Self::speak`].
    pub fn into_speech(
        self,
        script: Script,
        voice: impl Into<Speaker>,
        delivery: impl Into<Delivery>,
    ) -> Result<SpeechStream<'static>, Error> {
        let styles = Cow::Owned(voice.into().styles()?);
        SpeechStream::new(Holder::Owned(Box::new(self)), script, styles, delivery.into())
    }

    /// Says phonemes of any length: the symbols that [`tokenize`] knows. The last is as in [`Self::say`].
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
        delivery: impl Into<Delivery>,
    ) -> Result<Utterance, Error> {
        self.stream_phonemes(phonemes, styles, delivery)?.join()
    }

    /// Says phonemes of any length, sentence by sentence, as [`Cancellation`] shows.
    ///
    /// # Errors
    /// Before anything is said: [`ErrorKind::UnknownPhoneme`], [`ErrorKind::NothingToSay`], [`ErrorKind::Speed`],
    /// [`ErrorKind::Loudness`]. The items: [`ErrorKind::Cancelled`] and those of [`Self::speak_tokens`]. After an error the stream ends.
    pub fn stream_phonemes<'a>(
        &'a mut self,
        phonemes: &str,
        styles: &'a VoiceStyles,
        delivery: impl Into<Delivery>,
    ) -> Result<SpeechStream<'a>, Error> {
        let delivery = delivery.into();
        delivery.check()?;
        let script = Script::from_phonemes(phonemes)?;
        SpeechStream::new(Holder::Borrowed(self), script, Cow::Borrowed(styles), delivery)
    }
}

impl PooledSynthesizer {
    /// As [`Synthesizer::into_speech`]; it goes back to its pool when the stream is dropped.
    ///
    /// # Errors
    /// Those of [`Synthesizer::speak`].
    pub fn into_speech(
        self,
        script: Script,
        voice: impl Into<Speaker>,
        delivery: impl Into<Delivery>,
    ) -> Result<SpeechStream<'static>, Error> {
        let styles = Cow::Owned(voice.into().styles()?);
        SpeechStream::new(Holder::Pooled(Box::new(self)), script, styles, delivery.into())
    }
}

/// Who speaks a stream, and to whom it belongs.
enum Holder<'a> {
    Borrowed(&'a mut Synthesizer),
    Owned(Box<Synthesizer>),
    Pooled(Box<PooledSynthesizer>),
}

impl Holder<'_> {
    fn synthesizer(&mut self) -> &mut Synthesizer {
        match self {
            Self::Borrowed(synthesizer) => synthesizer,
            Self::Owned(synthesizer) => synthesizer,
            Self::Pooled(synthesizer) => synthesizer,
        }
    }
}

/// Speech in the making: gives the sentences in their order. Joined they are what [`Synthesizer::say`] gives.
pub struct SpeechStream<'a> {
    holder: Holder<'a>,
    script: Script,
    styles: Cow<'a, VoiceStyles>,
    delivery: Delivery,
    level: Level,
    cancellation: Cancellation,
    next: Option<Unit>,
    /// The silence before what comes next.
    before: Edge,
}

impl<'a> SpeechStream<'a> {
    fn new(
        holder: Holder<'a>,
        script: Script,
        styles: Cow<'a, VoiceStyles>,
        delivery: Delivery,
    ) -> Result<Self, Error> {
        delivery.check()?;
        let next = Some(script.unit(0).ok_or(ErrorKind::NothingToSay)?);
        #[cfg(feature = "english")]
        for notice in script.notices() {
            log::warn!("{notice}");
        }
        let before = if delivery.trim { Edge::Trimmed } else { Edge::Kept };
        let level = Level::of(&delivery)?;
        let cancellation = Cancellation::new();
        Ok(Self { holder, script, styles, delivery, level, cancellation, next, before })
    }

    /// The same speech, which `cancellation` can end: it then gives one [`ErrorKind::Cancelled`] and no more.
    ///
    /// [`Cancellation`] shows how.
    #[must_use]
    pub fn cancelled_by(mut self, cancellation: &Cancellation) -> Self {
        self.cancellation = cancellation.clone();
        self
    }

    /// What of the text is not read, or not as it is meant.
    #[cfg(feature = "english")]
    pub fn notices(&self) -> &[Notice] {
        self.script.notices()
    }

    /// How much of the script was said, from 0 to 1.
    pub fn progress(&self) -> f32 {
        let said = self.next.as_ref().map_or(self.script.len(), |unit| unit.start);
        said as f32 / self.script.len().max(1) as f32
    }

    /// Says all that is left, and joins it.
    ///
    /// # Errors
    /// The first error of an item; [`ErrorKind::NothingToSay`] if nothing was left.
    pub fn join(mut self) -> Result<Utterance, Error> {
        let mut joined = self.next().ok_or(ErrorKind::NothingToSay)??;
        for utterance in self {
            let Utterance { text, phonemes, audio, words } = utterance?;
            let before = words::seconds(joined.audio.samples.len());
            for (joined, more) in [(&mut joined.text, text), (&mut joined.phonemes, phonemes)] {
                if !joined.is_empty() {
                    joined.push(' ');
                }
                joined.push_str(&more);
            }
            joined.audio.samples.extend(audio.samples);
            joined.words = joined.words.zip(words).map(|(mut joined, words)| {
                joined.extend(words.into_iter().map(|word| word.later(before)));
                joined
            });
        }
        Ok(joined)
    }

    /// Says the next unit that has a sound.
    fn utter(&mut self) -> Result<Option<Utterance>, Error> {
        while let Some(unit) = self.next.take() {
            if self.cancellation.is_cancelled() {
                return Err(ErrorKind::Cancelled.into());
            }
            let said = self.script.said(&unit);
            for word in &said.unspoken {
                log::warn!("`{word}` has no phonemes");
            }
            let (following, joint) = self.script.next(&unit);
            let behind = match joint {
                Some(joint) => Edge::Joined(joint),
                None if self.delivery.trim => Edge::Trimmed,
                None => Edge::Kept,
            };
            let (samples, timeline) = self.sentence(&said.phonemes, behind)?;
            self.next = following;
            if !samples.is_empty() {
                let audio = Audio { samples, sample_rate: SAMPLE_RATE };
                let Said { text, phonemes, words, .. } = said;
                let words = timeline.words(&words, &phonemes, |source| self.script.given(source));
                return Ok(Some(Utterance { text, phonemes, audio, words }));
            }
        }
        Ok(None)
    }

    /// Says one sentence, in several runs if it has more phonemes than the model takes.
    fn sentence(&mut self, phonemes: &str, behind: Edge) -> Result<(Vec<f32>, Timeline), Error> {
        let count = phonemes.chars().count();
        let mut timeline = Timeline::new(count);
        let mut parts = Vec::new();
        if count <= MAX_PHONEMES {
            parts.push(Piece { text: phonemes, start: 0, end: Boundary::Sentence });
        } else {
            parts.extend(split_phonemes(phonemes, MAX_PHONEMES));
        }
        parts.retain(|part| is_speech(part.text));
        let last = parts.len().saturating_sub(1);
        let mut sentence = Vec::new();
        let speed = self.delivery.speed;
        for (index, Piece { text, start, end }) in parts.into_iter().enumerate() {
            let tokens = tokenize(text)?;
            let style = self.styles.style(tokens.len());
            let synthesizer = self.holder.synthesizer();
            let Spoken { mut samples, durations } =
                synthesizer.speak_cancellable(&tokens, style, speed, &self.cancellation)?;
            let whole = samples.len();
            let behind = if index == last { behind } else { Edge::Joined(Joint::Boundary(end)) };
            let fitted = pause::fit(&mut samples, self.before, behind, speed);
            let first = phonemes[..start].chars().count();
            timeline.note((first, tokens.len()), durations.as_deref(), whole, fitted, sentence.len());
            self.level.set(&mut samples);
            self.before = behind;
            sentence.extend(samples);
        }
        Ok((sentence, timeline))
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
        let said = self.next.as_ref().map_or(self.script.len(), |unit| unit.start);
        formatter
            .debug_struct("SpeechStream")
            .field("bytes", &self.script.len())
            .field("said", &said)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_durations_are_an_error_that_says_what_to_do() {
        let audio = Audio { samples: vec![0.0; 10], sample_rate: SAMPLE_RATE };
        let said = Utterance { text: String::new(), phonemes: String::new(), audio, words: None };
        let error = said.words().unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::NoDurations);
        assert!(error.to_string().contains("hint: make the artifact anew"), "{error}");
        assert_eq!(said.samples.len(), 10, "an utterance is used as its audio");
    }
}
