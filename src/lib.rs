//! Kokoro-82M text-to-speech as a build-time dependency.
//!
//! The binary holds what it speaks with: a quantized model whose digest was checked at build time, and the styles of the
//! voices. With all features a text becomes speech in four lines:
//!
//! ```no_run
//! # #[cfg(all(feature = "embed", feature = "text", feature = "voices"))]
//! # fn speak() -> Result<(), kokoro_model::Error> {
//! use kokoro_model::{Runtime, Synthesizer, Voice};
//!
//! let runtime = Runtime::load()?;
//! let mut synthesizer = Synthesizer::embedded(&runtime)?;
//! let audio = synthesizer.say("Hello from one binary.", Voice::AfHeart, 1.0)?;
//! audio.write_wav("hello.wav")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | gives | adds |
//! |---|---|---|
//! | `embed`, on by default | `MODEL`, the bytes of an `.onnx` file, and `METADATA`, what it is and what it was made of | the model, about 80 MB |
//! | `coreml` | on Apple's systems, the artifact chosen for Core ML in `MODEL`, in place of that for the CPU | nothing |
//! | `ort` | `Synthesizer`, which runs it, or any other Kokoro model, on ONNX Runtime; `Pool`, `Cancellation` | |
//! | `voices` | `Voice::styles` and a `Speaker` by name: the 54 voices of Kokoro v1.0 | 1.6 MB |
//! | `text` | `Synthesizer::say` and `Synthesizer::stream` for English text; implies `ort` | 25 MB of dictionaries |
//! | `bundle-runtime` | ONNX Runtime for the target in the binary, which `Runtime::load` unpacks; implies `ort` | 7.4 MB on Linux x86-64 |
//! | `kernels` | what computes the operators of the domain `ai.kokoro`, which the engine adds to ONNX Runtime; part of `engine` | |
//! | `engine`, `english` | what `ort` and `text` give, but for the choice that ONNX Runtime is loaded from a file | |
//!
//! # What speaks what
//!
//! A [`Voice`] is one of the 54 published; a [`Speaker`] is a voice, a mix such as `af_heart+am_adam:0.3`, or
//! [`VoiceStyles`] of your own. `Synthesizer::say` gives all of a text at once, `Synthesizer::stream` sentence by sentence,
//! so that the first sound comes early; joined they are the same. Text of other languages than English is given as
//! phonemes, which `speak_phonemes` and `stream_phonemes` take, of any length; `speak_tokens` is one run of the model.
//!
//! # Text, words and sound
//!
//! Text is read by misaki-rs, whose phonemes are equal to those of misaki 0.9.4 with spaCy in all 42
//! English sentences of the corpus. A word that its dictionaries lack is read by rules of spelling;
//! where they are wrong, give its phonemes in the text, `[Kokoro](/kˈOkəɹO/)`, or in a `Lexicon`.
//! `[pause 0.5s]` is a pause. A symbol that nothing is known for, such as an emoji, is left out with a
//! [`Notice`] of its place; with [`Unknown::Error`] all of them are one error, before anything is
//! said.
//!
//! `Utterance::words` tells when each word and each of its phonemes is said, by the durations that the
//! model predicts, in frames of 25 ms. Threads of a server share a `Pool`, which serves first who has
//! waited longest, with a timeout or a `Cancellation` where asked. A `Delivery` in place of the speed
//! trims silence and sets loudness, and `Resampler` and `WavWriter` give other sample rates and
//! formats.
//!
//! # Where speech is split, and its pauses
//!
//! The model takes 510 phonemes at once. Text is [split](split_text) into sentences, and a longer sentence at the ends of
//! clauses, or between words. Where two parts meet, the silence that the model makes is set to 0.06 s between words, 0.25 s
//! at the end of a clause, 0.6 s of a sentence, 1 s of a paragraph, over the speed; the beginning and the end of a text
//! stay as they are.
//!
//! # What is embedded
//!
//! The build script looks for the model in this order, checks the digest, and never opens a socket:
//!
//! 1. `KOKORO_MODEL_ARTIFACT`: the path of a `chosen.json`, or of an `.onnx` file with its metadata in the `.json`
//!    file beside it. A relative path is taken from the folder of this package. Or `sha256:` and the digest of a
//!    metadata file in the cache, which names the digests of all the rest; `cargo xtask fetch --artifact`, in a checkout
//!    of this package's repository, puts a released artifact there and prints it.
//! 2. `artifacts/chosen.json` in this package, which `cargo xtask quantize` writes.
//! 3. For a file that `chosen.json` names and that is not beside it: `<sha256>/<name>` in the folder
//!    `KOKORO_MODEL_CACHE`, or else `kokoro-model` in the user's cache folder.
//!
//! A `chosen.json` names an artifact for each execution provider that one was chosen for. The one for the CPU is embedded, or with
//! feature `coreml`, on Apple's systems, that for Core ML. `METADATA.gated` says for which providers it was chosen, and whether it was
//! measured there or only [predicted](Evidence). The feature does not change what a `Synthesizer` runs on, which is
//! `SynthesizerOptions::provider`.
//!
//! The voices are taken from `<sha256>/<name>.bin` in the same cache, where `cargo xtask fetch` puts them, by the digests
//! of the recipe `models/kokoro-v1.0.toml`.
//!
//! `KOKORO_MODEL_ARTIFACT=none` builds without model and voices, for linting and documentation: `MODEL` is empty then, and
//! `Synthesizer::embedded` and `Voice::styles` return an error. The build scripts of dependants read the digest and the
//! path of what was embedded as `DEP_KOKORO_MODEL_SHA256` and `DEP_KOKORO_MODEL_PATH`.
//!
//! `Runtime::load` is the only function of the library that reads the environment.

#[cfg(feature = "engine")]
mod audio;
#[cfg(feature = "ort")]
mod cache_folder;
#[cfg(feature = "engine")]
mod cancellation;
#[cfg(feature = "engine")]
mod delivery;
#[cfg(feature = "embed")]
mod embedded;
mod error;
#[cfg(feature = "engine")]
mod interface;
#[cfg(all(feature = "kernels", any(feature = "probe", not(feature = "engine"))))]
pub mod kernels;
#[cfg(all(feature = "engine", not(feature = "probe")))]
mod kernels;
mod language;
mod metadata;
#[cfg(feature = "voices")]
mod packed;
#[cfg(feature = "engine")]
mod pause;
#[cfg(feature = "engine")]
mod pool;
#[cfg(all(feature = "engine", feature = "probe"))]
pub mod prepared;
#[cfg(all(feature = "engine", not(feature = "probe")))]
mod prepared;
#[cfg(feature = "probe")]
pub mod probe;
#[cfg(feature = "engine")]
mod provider;
#[cfg(feature = "engine")]
mod resample;
#[cfg(feature = "engine")]
mod runtime;
mod speaker;
#[cfg(feature = "engine")]
mod speech;
#[cfg(feature = "engine")]
mod synthesizer;
mod text;
mod voice;
mod voices;
#[cfg(feature = "engine")]
mod wav;
#[cfg(feature = "engine")]
mod words;

#[cfg(feature = "engine")]
pub use audio::Audio;
#[cfg(feature = "engine")]
pub use cancellation::Cancellation;
#[cfg(feature = "engine")]
pub use delivery::Delivery;
#[cfg(feature = "embed")]
pub use embedded::{METADATA, MODEL, PREPARED};
pub use error::{Error, ErrorKind};
#[cfg(feature = "engine")]
pub use kernels::{InstructionSet, UnavailableKernels};
pub use language::{Gender, Language};
pub use metadata::{
    Base, BaseKind, Chosen, ChosenFor, Dimension, Evidence, Gated, List, Metadata, OperatorSet, Precision,
    PreparedFile, SessionOption, TensorInfo, Text,
};
#[cfg(feature = "engine")]
pub use pool::{Pool, PooledSynthesizer};
#[cfg(feature = "engine")]
pub use provider::{CoreMlFormat, CoreMlUnits, Plugin, Provider};
#[cfg(feature = "engine")]
pub use resample::Resampler;
#[cfg(feature = "engine")]
pub use runtime::Runtime;
pub use speaker::Speaker;
#[cfg(feature = "engine")]
pub use speech::{SpeechStream, Utterance};
#[cfg(feature = "engine")]
pub use synthesizer::{SAMPLE_RATE, Synthesizer, SynthesizerOptions};
pub use text::notice::{Notice, NoticeKind, Unknown};
#[cfg(feature = "engine")]
pub use text::script::Script;
pub use text::split::{Boundary, Piece, Pieces, split_phonemes, split_text};
pub use text::vocabulary::{UnknownPhoneme, token, tokenize};
#[cfg(feature = "english")]
pub use text::{Lexicon, Reader, phonemize};
pub use voice::{MAX_PHONEMES, STYLE_LEN, Style, VoiceStyles};
pub use voices::Voice;
#[cfg(feature = "engine")]
pub use wav::{SampleFormat, WavWriter};
#[cfg(feature = "engine")]
pub use words::{Phoneme, Word};
