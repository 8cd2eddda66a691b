//! A release: one archive with an artifact and everything that somebody else needs to check it.
//!
//! The archive is a function of what is in `artifacts/` and `models/`, of `SOURCE_DATE_EPOCH`, of the key and of who
//! builds it. No clock, no path, no host, nothing timed. [`package`] makes one and refuses what is not fit to be
//! released; [`verify`] reads one and trusts nothing in it.

mod archive;
mod bom;
mod builder;
mod checksums;
mod contents;
mod cyclonedx;
mod intoto;
mod judgement;
mod nominee;
mod operators;
mod provenance;
mod signature;
mod standing;
mod unpacked;
mod verify;

pub use crate::artifacts::CHOSEN;

pub(crate) use self::checksums::Checksums;
pub use self::contents::{Package, package};
pub use self::nominee::Nominee;
pub use self::signature::Signer;
pub(crate) use self::unpacked::Unpacked;
pub use self::verify::{Against, Finding, Outcome, Smoke, Verdict, verify};

/// How the names of archives end.
pub const EXTENSION: &str = "tar.zst";

/// Digests of all other files but the signature.
pub const CHECKSUMS: &str = "SHA256SUMS";
/// The signature of [`CHECKSUMS`].
pub const SIGNATURE: &str = "SHA256SUMS.minisig";
/// What the gates said.
pub const GATES: &str = "gates.json";
/// What the model is and what it is made of, as CycloneDX.
pub const BOM: &str = "bom.cdx.json";
/// What made it from what, as in-toto and SLSA.
pub const PROVENANCE: &str = "provenance.intoto.json";
/// The schema of the metadata.
pub const SCHEMA: &str = "metadata.schema.json";
/// The page for people.
pub const REPORT: &str = "report.html";
/// Why a release is not an official one.
pub const UNOFFICIAL: &str = "UNOFFICIAL.txt";
/// The folder of recipe, plan and lock, as in the checkout.
pub const MODELS: &str = "models";
/// The folder of recordings.
pub const AUDIO: &str = "audio";
