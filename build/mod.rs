//! What `build.rs` does with feature `embed`: settings → artifact → verified copy → generated code.
//!
//! Architecture invariant: nothing here opens a socket, and no model is read under a name that its digest did not
//! give it, but for the one pass that checks it. `tests/build_script.rs` tests these modules.

pub mod artifact;
pub mod digest;
pub mod embed;
#[path = "../src/metadata.rs"]
pub mod metadata;
pub mod settings;
pub mod sha256;
