//! `fetch` against servers, packages and disks that misbehave, each with the message that the user sees.

#[path = "../support/mod.rs"]
mod support;

mod artifact;
mod cache;
mod http;
mod npz;
mod packages;
mod resume;
mod runtime;
mod wanted;
