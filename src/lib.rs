//! Kokoro-82M text-to-speech as a build-time dependency.
//!
//! With feature `embed`, on by default, the binary holds a quantized model whose digest was checked at build
//! time: `MODEL`, the bytes of an `.onnx` file, and `METADATA`, what it is and what it was made of. With feature
//! `ort`, a `Synthesizer` runs it, or any other Kokoro model, on ONNX Runtime:
//!
//! ```no_run
//! # #[cfg(all(feature = "embed", feature = "ort"))]
//! # fn speak() -> Result<(), Box<dyn std::error::Error>> {
//! use kokoro_model::{Runtime, Synthesizer, VoiceStyles, tokenize};
//!
//! let runtime = Runtime::from_path("libonnxruntime.so")?;
//! let mut synthesizer = Synthesizer::embedded(&runtime)?;
//! let voice = VoiceStyles::from_bytes(&std::fs::read("af_heart.bin")?)?;
//! let phonemes = tokenize("həlˈO wˈɜɹld.")?;
//! let audio = synthesizer.speak_tokens(&phonemes, voice.style(phonemes.len()), 1.0)?;
//! audio.write_wav("hello.wav")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which artifact is embedded
//!
//! The build script looks in this order, checks the digest, and never opens a socket:
//!
//! 1. `KOKORO_MODEL_ARTIFACT`: the path of a `chosen.json`, or of an `.onnx` file with its metadata in the `.json`
//!    file beside it. A relative path is taken from the folder of this package.
//! 2. `artifacts/chosen.json` in this package, which `cargo xtask quantize` writes.
//! 3. For a file that `chosen.json` names and that is not beside it: `<sha256>/<name>` in the folder
//!    `KOKORO_MODEL_CACHE`, or else `kokoro-model` in the user's cache folder.
//!
//! `KOKORO_MODEL_ARTIFACT=none` builds without a model, for linting and documentation: `MODEL` is empty then, and
//! `Synthesizer::embedded` returns an error. The build scripts of dependants read the digest and the path of what
//! was embedded as `DEP_KOKORO_MODEL_SHA256` and `DEP_KOKORO_MODEL_PATH`.
//!
//! The library itself reads no environment variable.

#[cfg(feature = "ort")]
mod audio;
#[cfg(feature = "embed")]
mod embedded;
mod error;
#[cfg(feature = "ort")]
mod interface;
mod metadata;
#[cfg(feature = "probe")]
pub mod probe;
#[cfg(feature = "ort")]
mod runtime;
#[cfg(feature = "ort")]
mod synthesizer;
mod vocabulary;
mod voice;

#[cfg(feature = "ort")]
pub use audio::Audio;
#[cfg(feature = "embed")]
pub use embedded::{METADATA, MODEL};
pub use error::{Error, ErrorKind};
pub use metadata::{
    Base, BaseKind, Chosen, Dimension, List, Metadata, OperatorSet, Precision, SessionOption, TensorInfo,
    Text,
};
#[cfg(feature = "ort")]
pub use runtime::Runtime;
#[cfg(feature = "ort")]
pub use synthesizer::{SAMPLE_RATE, Synthesizer, SynthesizerOptions};
pub use vocabulary::{UnknownPhoneme, token, tokenize};
pub use voice::{MAX_PHONEMES, STYLE_LEN, Style, VoiceStyles};
