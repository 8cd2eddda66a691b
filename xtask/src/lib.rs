//! The commands of kokoro-model, one file each, and the rooms beneath them.

pub mod artifacts;
pub mod base;
pub mod calibrate;
pub mod cargo;
pub mod commands;
pub mod corpus;
pub mod describe;
pub mod digest;
pub mod environment;
pub mod failure;
pub mod fetch;
pub mod fidelity;
pub mod files;
pub mod gates;
pub mod host;
pub mod judge;
pub mod parts;
pub mod plan;
pub mod planning;
pub mod prepare;
pub mod recipe;
pub mod report;
pub mod results;
mod safetensors;
pub mod scheme;
pub mod tune;
pub mod workspace;
