//! What `build.rs` does: the recipe's voices → code; with feature `voices`, voice files → verified bytes → packed styles;
//! with feature `embed`, settings → artifact → verified copy → generated code; with feature `ort`, the pinned library of
//! ONNX Runtime → its digest, and with `bundle-runtime` the library → verified bytes → compressed.
//!
//! Architecture invariant: nothing here opens a socket, and no file is used under a name that its digest did not give
//! it, but for the one pass that checks it. `tests/it/*_build.rs` and `tests/it/build_script.rs` test these modules.

#[cfg(feature = "embed")]
pub mod artifact;
#[cfg(feature = "bundle-runtime")]
pub mod bundle;
#[cfg(any(feature = "embed", feature = "voices", feature = "bundle-runtime"))]
pub mod digest;
#[cfg(feature = "embed")]
pub mod embed;
#[cfg(feature = "embed")]
#[path = "../src/metadata.rs"]
pub mod metadata;
#[cfg(feature = "voices")]
pub mod packing;
pub mod recipe;
#[cfg(feature = "ort")]
pub mod runtime;
pub mod settings;
#[cfg(any(feature = "embed", feature = "voices", feature = "bundle-runtime"))]
pub mod sha256;
pub mod voices;
