//! Speech from token ids and a style: one ONNX Runtime session on a Kokoro model.

use std::path::{Path, PathBuf};
#[cfg(feature = "english")]
use std::sync::Arc;

use ort::session::builder::SessionBuilder;
use ort::session::{RunOptions, Session};
use ort::value::{DynValue, TensorElementType, TensorRef};

use crate::audio::Audio;
use crate::cancellation::Cancellation;
use crate::error::{Error, ErrorKind};
use crate::interface::Interface;
use crate::kernels::operators::{self, DOMAIN};
use crate::kernels::{InstructionSet, Kernels};
use crate::metadata::Metadata;
use crate::prepared::{Prepared, PreparedModel};
use crate::provider::Provider;
use crate::runtime::{Runtime, RuntimeMessage};
#[cfg(feature = "english")]
use crate::text::Lexicon;
#[cfg(feature = "english")]
use crate::text::notice::Unknown;
use crate::voice::{MAX_PHONEMES, STYLE_LEN, Style};

/// Samples per second of what a Kokoro model says.
pub const SAMPLE_RATE: u32 = 24_000;

/// The speeds that are accepted. The model stretches its predicted durations by 1 / speed; far outside of this
/// range a sentence has no frames, or more than memory holds.
const SPEEDS: std::ops::RangeInclusive<f32> = 0.1..=10.0;

/// How a session is made.
#[derive(Clone, Debug)]
pub struct SynthesizerOptions {
    threads: Option<usize>,
    session_options: Vec<(String, String)>,
    pub(crate) vocabulary_size: u32,
    profile: Option<PathBuf>,
    instruction_set: Option<InstructionSet>,
    provider: Provider,
    /// The version of the domain `ai.kokoro` that the model is said to need.
    operators: i64,
}

impl Default for SynthesizerOptions {
    /// The CPU provider, the runtime's own choice of threads, no session configuration, the 178 rows of Kokoro v1.0.
    fn default() -> Self {
        Self {
            threads: None,
            session_options: Vec::new(),
            vocabulary_size: 178,
            profile: None,
            instruction_set: None,
            provider: Provider::Cpu,
            operators: 0,
        }
    }
}

impl SynthesizerOptions {
    /// The vocabulary size and the session configuration that an artifact was gated with, and the operators of this crate
    /// that it needs.
    pub fn for_artifact(metadata: &Metadata) -> Self {
        let entries = metadata.session_options.iter();
        let session_options = entries.map(|entry| (entry.key.to_string(), entry.value.to_string())).collect();
        let operators =
            metadata.onnx_opset.iter().find(|set| set.domain == DOMAIN).map_or(0, |set| set.version);
        Self { session_options, vocabulary_size: metadata.vocabulary_size, operators, ..Self::default() }
    }

    /// How many threads an operator may use, at most one for each processor. 0 leaves the choice to the runtime: one for each
    /// physical core.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        // More would wait for each other: 500 on a machine of two processors made no sound in minutes.
        let most = std::thread::available_parallelism().map_or(usize::MAX, usize::from);
        self.threads = (threads > 0).then_some(threads.min(most));
        self
    }

    /// A session configuration entry of ONNX Runtime, such as `session.disable_quant_qdq` = `1`. The last value
    /// given for a key holds.
    #[must_use]
    pub fn session_option(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let key = key.into();
        self.session_options.retain(|(known, _)| *known != key);
        self.session_options.push((key, value.into()));
        self
    }

    /// How many rows the token embedding has: ids `0..size` are accepted.
    #[must_use]
    pub fn vocabulary_size(mut self, size: u32) -> Self {
        self.vocabulary_size = size;
        self
    }

    /// Profiles every run into a JSON file whose name begins with `prefix`; see
    /// [`Synthesizer::finish_profile`].
    #[must_use]
    pub fn profile(mut self, prefix: impl Into<PathBuf>) -> Self {
        self.profile = Some(prefix.into());
        self
    }

    /// The instructions that the operators of this crate use, in place of the best that this processor has. What is
    /// said is the same to the bit; other operators are the runtime's, which chooses for itself.
    #[must_use]
    pub fn instruction_set(mut self, set: InstructionSet) -> Self {
        self.instruction_set = Some(set);
        self
    }

    /// The execution provider that computes the model, in place of the CPU's. A prepared model was optimized for that one, so
    /// any other loads the `.onnx` file itself.
    #[must_use]
    pub fn provider(mut self, provider: Provider) -> Self {
        self.provider = provider;
        self
    }

    fn builder(&self, runtime: &Runtime) -> Result<SessionBuilder, Error> {
        let refused = |option: &str, source: RuntimeMessage| {
            Error::with_source(ErrorKind::SessionOption { option: option.to_owned() }, source)
        };
        let kernels = self.instruction_set.map_or(Ok(runtime.kernels), Kernels::of)?;
        let domain = operators::domain(kernels).map_err(|source| refused(DOMAIN, source.into()))?;
        let builder = Session::builder(&runtime.environment);
        let builder = builder.map_err(|source| refused("session", source.into()))?;
        let mut builder = self
            .provider
            .set(builder, runtime, self.threads)?
            .with_operators(domain)
            .map_err(|source| refused(DOMAIN, source.into()))?;
        if let Some(threads) = self.threads {
            builder = builder
                .with_intra_threads(threads)
                .map_err(|source| refused(&format!("threads={threads}"), source.into()))?;
        }
        for (key, value) in &self.session_options {
            builder = builder
                .with_config_entry(key, value)
                .map_err(|source| refused(&format!("{key}={value}"), source.into()))?;
        }
        if let Some(prefix) = &self.profile {
            builder = builder
                .with_profiling(prefix)
                .map_err(|source| refused(&format!("profile={}", prefix.display()), source.into()))?;
        }
        Ok(builder)
    }

    /// A session that `commit` makes of a model; `model` and its size in `bytes` are for errors.
    pub(crate) fn session(
        &self,
        runtime: &Runtime,
        model: &str,
        bytes: u64,
        commit: impl FnOnce(&mut SessionBuilder) -> ort::Result<Session>,
    ) -> Result<Session, Error> {
        let model = model.to_owned();
        let missing = |model| ErrorKind::OperatorsMissing { model, version: env!("CARGO_PKG_VERSION") };
        // The runtime does not compare the versions of a domain that is not its own.
        if self.operators > operators::VERSION {
            return Err(missing(model).into());
        }
        let mut builder = self.builder(runtime)?;
        commit(&mut builder).map_err(|source| {
            // What the provider lacks shows in a session of any model.
            if self.provider != Provider::Cpu
                && let Err(error) = self.provider.check(runtime)
            {
                return error;
            }
            let source = RuntimeMessage::from(source);
            let is_missing = source.misses_operator_of(DOMAIN);
            let kind = if is_missing { missing(model) } else { ErrorKind::ModelRejected { model, bytes } };
            Error::with_source(kind, source)
        })
    }
}

/// A Kokoro model, ready to speak. One thread at a time: make one for each thread that speaks.
#[derive(Debug)]
pub struct Synthesizer {
    model: Model,
    vocabulary_size: u32,
    /// How text is read.
    #[cfg(feature = "english")]
    pub(crate) lexicon: Arc<Lexicon>,
    #[cfg(feature = "english")]
    pub(crate) unknown: Unknown,
}

/// What a run of the model gives.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) samples: Vec<f32>,
    /// The frames of each token, those of the padding among them; none of a model that does not tell.
    pub(crate) durations: Option<Vec<u32>>,
}

/// What a synthesizer runs.
#[derive(Debug)]
enum Model {
    /// A model as its file is.
    Whole { session: Session, interface: Interface },
    /// One that was prepared.
    Prepared(PreparedModel),
}

impl Synthesizer {
    /// The model embedded in this binary, with the session configuration it was gated with.
    ///
    /// ```no_run
    /// use kokoro_model::{Runtime, Synthesizer};
    ///
    /// let runtime = Runtime::load()?;
    /// let mut synthesizer = Synthesizer::embedded(&runtime)?;
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NothingEmbedded`] in a build without an artifact, else as [`Self::from_prepared`].
    #[cfg(feature = "embed")]
    pub fn embedded(runtime: &Runtime) -> Result<Self, Error> {
        Self::embedded_with(runtime, &SynthesizerOptions::for_artifact(&crate::METADATA))
    }

    /// The model embedded in this binary with other options, such as
    /// [`SynthesizerOptions::for_artifact`]`(&METADATA).threads(1)`.
    ///
    /// ```no_run
    /// use kokoro_model::{METADATA, Runtime, Synthesizer, SynthesizerOptions};
    ///
    /// let options = SynthesizerOptions::for_artifact(&METADATA).threads(1);
    /// let mut synthesizer = Synthesizer::embedded_with(&Runtime::load()?, &options)?;
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Self::embedded`].
    #[cfg(feature = "embed")]
    pub fn embedded_with(runtime: &Runtime, options: &SynthesizerOptions) -> Result<Self, Error> {
        if crate::MODEL.is_empty() {
            return Err(ErrorKind::NothingEmbedded.into());
        }
        if !crate::PREPARED.is_empty() {
            return Self::from_prepared(runtime, crate::MODEL, crate::PREPARED, options);
        }
        Self::load(runtime, &crate::METADATA.name, crate::MODEL.len() as u64, options, |builder| {
            builder.commit_from_memory(crate::MODEL)
        })
    }

    /// An artifact in memory with the contents of the `.prepared` file beside it, which loads in a fraction of the time
    /// that [`Self::from_bytes`] takes, and speaks the same, but for the silence around slow speech, of which
    /// [`Self::speak_tokens`] tells. Nothing of both is needed after the call.
    ///
    /// ```no_run
    /// use kokoro_model::{Runtime, Synthesizer, SynthesizerOptions};
    ///
    /// let [model, prepared] = ["onnx", "prepared"].map(|kind| std::fs::read(format!("kokoro.{kind}")));
    /// let options = SynthesizerOptions::default();
    /// let mut synthesizer = Synthesizer::from_prepared(&Runtime::load()?, &model?, &prepared?, &options)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::PreparedDamaged`] for a `.prepared` file that is damaged or is another artifact's,
    /// [`ErrorKind::SessionOption`], [`ErrorKind::KernelsUnavailable`], [`ErrorKind::OperatorsMissing`] for a model that was
    /// made for a later version of this crate, and [`ErrorKind::ModelRejected`] with what the runtime said.
    pub fn from_prepared(
        runtime: &Runtime,
        model: &[u8],
        prepared: &[u8],
        options: &SynthesizerOptions,
    ) -> Result<Self, Error> {
        if options.provider != Provider::Cpu {
            return Self::from_bytes(runtime, model, options);
        }
        let prepared = PreparedModel::load(runtime, model, &Prepared::read(prepared)?, options)?;
        Ok(Self::new(Model::Prepared(prepared), options))
    }

    /// A model in the `.onnx` format, in memory. The bytes are not needed after the call.
    ///
    /// ```no_run
    /// use kokoro_model::{Runtime, Synthesizer, SynthesizerOptions};
    ///
    /// let model = std::fs::read("kokoro.onnx")?;
    /// let mut synthesizer = Synthesizer::from_bytes(&Runtime::load()?, &model, &SynthesizerOptions::default())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::SessionOption`], [`ErrorKind::KernelsUnavailable`], [`ErrorKind::ProviderUnavailable`], [`ErrorKind::OperatorsMissing`],
    /// [`ErrorKind::ModelRejected`] with what the runtime said, and [`ErrorKind::ModelInterface`] if the inputs and outputs are not those of Kokoro: `tokens: int64[1, n]`,
    /// `style: float32[1, 256]` and `speed: float32[1]` give `audio: float32[n]`.
    pub fn from_bytes(runtime: &Runtime, model: &[u8], options: &SynthesizerOptions) -> Result<Self, Error> {
        Self::load(runtime, "bytes in memory", model.len() as u64, options, |builder| {
            builder.commit_from_memory(model)
        })
    }

    /// A model in an `.onnx` file; external data is looked for beside it.
    ///
    /// ```no_run
    /// use kokoro_model::{Runtime, Synthesizer, SynthesizerOptions};
    ///
    /// let options = SynthesizerOptions::default().threads(2);
    /// let mut synthesizer = Synthesizer::from_file(&Runtime::load()?, "kokoro.onnx", &options)?;
    /// # Ok::<(), kokoro_model::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ModelUnreadable`], else as [`Self::from_bytes`].
    pub fn from_file(
        runtime: &Runtime,
        path: impl AsRef<Path>,
        options: &SynthesizerOptions,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        // Opened by us first: the runtime does not tell a missing file from a forbidden one.
        let file = fs_err::File::open(path).and_then(|file| file.metadata()).map_err(|source| {
            Error::with_source(ErrorKind::ModelUnreadable { path: path.to_path_buf() }, source)
        })?;
        Self::load(runtime, &path.display().to_string(), file.len(), options, |builder| {
            builder.commit_from_file(path)
        })
    }

    fn load(
        runtime: &Runtime,
        model: &str,
        bytes: u64,
        options: &SynthesizerOptions,
        commit: impl FnOnce(&mut SessionBuilder) -> ort::Result<Session>,
    ) -> Result<Self, Error> {
        let session = options.session(runtime, model, bytes, commit)?;
        let interface = Interface::of(&session, model, &[])?;
        Ok(Self::new(Model::Whole { session, interface }, options))
    }

    fn new(model: Model, options: &SynthesizerOptions) -> Self {
        Self {
            model,
            vocabulary_size: options.vocabulary_size,
            #[cfg(feature = "english")]
            lexicon: Arc::default(),
            #[cfg(feature = "english")]
            unknown: Unknown::default(),
        }
    }

    /// Sets the words whose phonemes are known better than by the dictionaries, for all texts to come.
    ///
    /// ```no_run
    /// # fn set(synthesizer: &mut kokoro_model::Synthesizer) -> Result<(), Box<dyn std::error::Error>> {
    /// let lexicon: kokoro_model::Lexicon = std::fs::read_to_string("names.txt")?.parse()?;
    /// synthesizer.lexicon(lexicon);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "english")]
    pub fn lexicon(&mut self, lexicon: impl Into<Arc<Lexicon>>) -> &mut Self {
        self.lexicon = lexicon.into();
        self
    }

    /// Sets what is done with that of which no reading is known, for all texts to come.
    #[cfg(feature = "english")]
    pub fn unknown(&mut self, unknown: Unknown) -> &mut Self {
        self.unknown = unknown;
        self
    }

    /// Speaks 1 to 510 phoneme ids, given without padding: the 0 before and after is added here.
    ///
    /// `style` is the row of a voice for the number of ids, see
    /// [`VoiceStyles::style`](crate::VoiceStyles::style). `speed` is 1.0 for the pace of the voice, more for
    /// faster speech, and must lie in 0.1..=10. Below 1.0 a prepared model, such as the one embedded,
    /// keeps the silence at both ends as long as at 1.0.
    ///
    /// ```no_run
    /// # fn hello(synthesizer: &mut kokoro_model::Synthesizer, styles: &kokoro_model::VoiceStyles)
    /// # -> Result<(), kokoro_model::Error> {
    /// let ids = kokoro_model::tokenize("həlˈO.")?;
    /// let audio = synthesizer.speak_tokens(&ids, styles.style(ids.len()), 1.0)?;
    /// audio.write_wav("hello.wav")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NoTokens`], [`ErrorKind::TooManyTokens`], [`ErrorKind::TokenOutOfVocabulary`] and
    /// [`ErrorKind::Speed`] before the model is run; [`ErrorKind::Inference`] and [`ErrorKind::NoAudio`] after.
    pub fn speak_tokens(&mut self, phoneme_ids: &[i64], style: &Style, speed: f32) -> Result<Audio, Error> {
        let spoken = self.speak_cancellable(phoneme_ids, style, speed, &Cancellation::new())?;
        Ok(Audio { samples: spoken.samples, sample_rate: SAMPLE_RATE })
    }

    /// As [`Self::speak_tokens`], with the durations, and [`ErrorKind::Cancelled`] if `cancellation` ended it.
    pub(crate) fn speak_cancellable(
        &mut self,
        phoneme_ids: &[i64],
        style: &Style,
        speed: f32,
        cancellation: &Cancellation,
    ) -> Result<Spoken, Error> {
        let tokens = checked(phoneme_ids, speed, self.vocabulary_size)?;
        let run = cancellation.run(|options| self.model.run(&tokens, style, speed, options));
        let spoken = run.ok_or(ErrorKind::Cancelled)?.map_err(|source| {
            if cancellation.is_cancelled() {
                return ErrorKind::Cancelled.into();
            }
            Error::with_source(
                ErrorKind::Inference { tokens: phoneme_ids.len() },
                RuntimeMessage::from(source),
            )
        })?;
        if spoken.samples.is_empty() {
            return Err(ErrorKind::NoAudio { tokens: phoneme_ids.len() }.into());
        }
        Ok(spoken)
    }

    /// Ends the profile begun with [`SynthesizerOptions::profile`] and returns its file; of a prepared model that of its
    /// last part.
    ///
    /// # Errors
    /// [`ErrorKind::Profile`] with what the runtime said.
    pub fn finish_profile(&mut self) -> Result<PathBuf, Error> {
        let session = match &mut self.model {
            Model::Whole { session, .. } => Some(session),
            Model::Prepared(prepared) => prepared.last(),
        };
        let session = session.ok_or(ErrorKind::Profile)?;
        let file = session.end_profiling();
        file.map(PathBuf::from)
            .map_err(|source| Error::with_source(ErrorKind::Profile, RuntimeMessage::from(source)))
    }
}

impl Model {
    fn run(
        &mut self,
        tokens: &[i64],
        style: &Style,
        speed: f32,
        options: &RunOptions,
    ) -> ort::Result<Spoken> {
        let (session, interface) = match self {
            Self::Whole { session, interface } => (session, interface),
            Self::Prepared(prepared) => return prepared.run(tokens, style, speed, options),
        };
        let (style, speed) = (style.values().as_slice(), [speed]);
        let Interface { tokens: tokens_name, style: style_name, speed: speed_name, audio, durations } =
            interface;
        let inputs = ort::inputs![
            tokens_name.as_str() => TensorRef::from_array_view(([1, tokens.len()], tokens))?,
            style_name.as_str() => TensorRef::from_array_view(([1, STYLE_LEN], style))?,
            speed_name.as_str() => TensorRef::from_array_view(([1], speed.as_slice()))?,
        ];
        let outputs = session.run_with_options(inputs, options)?;
        let (_, samples) = outputs[audio.as_str()].try_extract_tensor::<f32>()?;
        let durations = durations.as_deref().map(|name| frames(&outputs[name])).transpose()?;
        Ok(Spoken { samples: samples.to_vec(), durations })
    }
}

/// Durations in any type that exports give them.
pub(crate) fn frames(durations: &DynValue) -> ort::Result<Vec<u32>> {
    // A cast from float rounds down, and what is below zero to zero; of whole numbers none is either.
    Ok(match durations.dtype().tensor_type() {
        Some(TensorElementType::Float32) => {
            durations.try_extract_tensor::<f32>()?.1.iter().map(|&it| it as u32).collect()
        }
        Some(TensorElementType::Int32) => {
            durations.try_extract_tensor::<i32>()?.1.iter().map(|&it| it.max(0) as u32).collect()
        }
        _ => {
            let frames = durations.try_extract_tensor::<i64>()?.1;
            frames.iter().map(|&it| it.clamp(0, u32::MAX.into()) as u32).collect()
        }
    })
}

/// The `tokens` input of a sentence whose ids and speed are in order.
pub(crate) fn checked(phoneme_ids: &[i64], speed: f32, vocabulary_size: u32) -> Result<Vec<i64>, ErrorKind> {
    let tokens = padded(phoneme_ids, vocabulary_size)?;
    check_speed(speed)?;
    Ok(tokens)
}

/// Refuses speeds that the model cannot speak at.
pub(crate) fn check_speed(speed: f32) -> Result<(), ErrorKind> {
    if SPEEDS.contains(&speed) { Ok(()) } else { Err(ErrorKind::Speed { found: speed }) }
}

/// The `tokens` input: the ids with the padding id 0 on both sides, as the model was trained on.
///
/// An id outside of the embedding would read past a table in the runtime, so every one is checked.
fn padded(phoneme_ids: &[i64], vocabulary_size: u32) -> Result<Vec<i64>, ErrorKind> {
    match phoneme_ids.len() {
        0 => return Err(ErrorKind::NoTokens),
        1..=MAX_PHONEMES => {}
        found => return Err(ErrorKind::TooManyTokens { found }),
    }
    if let Some(position) = phoneme_ids.iter().position(|id| !(0..i64::from(vocabulary_size)).contains(id)) {
        let id = phoneme_ids[position];
        return Err(ErrorKind::TokenOutOfVocabulary { position, id, vocabulary_size });
    }
    let mut tokens = Vec::with_capacity(phoneme_ids.len() + 2);
    tokens.push(0);
    tokens.extend_from_slice(phoneme_ids);
    tokens.push(0);
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_padded_with_zero_on_both_sides() {
        assert_eq!(padded(&[50, 83], 178), Ok(vec![0, 50, 83, 0]));
        assert_eq!(padded(&[177; 510], 178).unwrap().len(), 512);
    }

    #[test]
    fn each_bad_input_has_its_kind() {
        assert_eq!(padded(&[], 178), Err(ErrorKind::NoTokens));
        assert_eq!(padded(&[1; 511], 178), Err(ErrorKind::TooManyTokens { found: 511 }));
        for (position, id) in [(1, 178), (1, -1), (1, i64::MIN), (1, i64::MAX)] {
            let expected = ErrorKind::TokenOutOfVocabulary { position, id, vocabulary_size: 178 };
            assert_eq!(padded(&[177, id, 0], 178), Err(expected));
        }
    }

    #[test]
    fn speeds_outside_of_the_range_and_no_number_are_refused() {
        for speed in [f32::NAN, f32::INFINITY, -1.0, 0.0, 0.099, 10.01] {
            assert!(!SPEEDS.contains(&speed), "{speed}");
        }
        for speed in [0.1, 1.0, 10.0] {
            assert!(SPEEDS.contains(&speed), "{speed}");
        }
    }

    #[test]
    fn the_last_value_of_a_session_option_holds() {
        let options = SynthesizerOptions::default()
            .session_option("a", "1")
            .session_option("b", "2")
            .session_option("a", "3");
        let expected = [("b", "2"), ("a", "3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(options.session_options, expected);
    }
}
