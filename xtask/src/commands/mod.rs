//! The commands, one file each.

pub mod bench;
pub mod ci;
pub mod clean;
pub mod fetch;
pub mod fidelity;
pub mod inspect;
pub mod onnx_quantize;
pub mod package;
pub mod prove;
pub mod publish;
pub mod quantize;
pub mod report;
pub mod smoke;
pub mod test;
pub mod tune;
pub mod verify;
