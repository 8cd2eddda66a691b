//! The bytes and the metadata of the chosen artifact, in the binary.
//!
//! The build script writes the code, from `build/embed.rs`; there are the reasons for its form.

#![allow(unsafe_code, reason = "the bytes are defined in assembly, and only an extern static can name them")]
#![allow(clippy::unreadable_literal, reason = "the code is generated")]

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
