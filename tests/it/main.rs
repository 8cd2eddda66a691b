//! The tests that need no process of their own, in one program: each that is linked has the model in it.
#![allow(
    clippy::duplicate_mod,
    reason = "`common` has a module of `build` of its own, for programs without the rest"
)]

#[cfg(any(feature = "bundle-runtime", feature = "embed", feature = "voices"))]
#[path = "../../build/mod.rs"]
#[allow(missing_docs, dead_code, reason = "the modules of another crate, used in part")]
mod build;
#[cfg(feature = "ort")]
#[path = "../common/mod.rs"]
mod common;
#[cfg(any(feature = "bundle-runtime", feature = "embed", feature = "voices"))]
#[path = "../common/room.rs"]
mod room;

mod build_script;
mod bundle_build;
mod embedded;
mod engine;
mod packaging;
mod phonemes;
mod providers;
mod readings;
mod settings_build;
mod speech;
mod voices;
mod voices_build;
