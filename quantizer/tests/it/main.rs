//! Every test of `quantizer` from outside: to link one program takes longer than most of these take.

mod bad_models;
mod cases;
mod determinism;
mod kokoro;
mod linear_int8;
mod prepared;
mod restore;
mod rewrite;
mod static_int8;
mod wire;
