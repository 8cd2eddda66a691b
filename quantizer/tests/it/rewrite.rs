//! Rewrites on small graphs: what they give equals what was there, computed by hand, and what they cannot prove stays.

mod coreml;
mod coreml_layout;
mod duplicates;
mod evaluate;
mod instance_norm;
mod operators;
mod passes;
mod polyphase;
mod redundant;
mod support;
