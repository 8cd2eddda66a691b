//! Rewrites on small graphs: what they give equals what was there, computed by hand, and what they cannot prove stays.

mod duplicates;
mod evaluate;
mod instance_norm;
mod passes;
mod polyphase;
mod redundant;
mod support;
