//! Every test of `xtask` from outside that needs no program of its own: to link one takes longer than most of these take.
//! `fetch` and `interrupt` wait for what must come within a time, so nothing computes beside them.

#[path = "../support/mod.rs"]
mod support;

mod action;
mod commands;
mod contestants;
mod coreml;
mod determinism;
mod dnsmos;
mod edges;
mod features;
mod lock;
mod lookup;
mod mutants;
mod onnx_quantize;
mod prepared;
mod proof;
mod providers;
mod publish;
mod recipe;
mod registries;
mod release;
mod report;
mod tune;
mod workflows;
