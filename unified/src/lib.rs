//! Nothing: its dependencies are what it is for.
//!
//! Cargo compiles a crate anew for each set of features, and whatever depends on it. `cargo run -p xtask`, the tests of
//! `xtask`, those of all other packages, and the lints select different packages, of which each asks for features of its
//! own; both `xtask` and the tests of `kokoro-model` depend on this package, so that each has the features of all.
//! Published packages and what users build know nothing of it. `xtask/tests/it/features.rs` says what is missing here.
