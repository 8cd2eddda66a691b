//! Fidelity: how far a candidate is from its base, on sentences that nothing was fitted to.
//!
//! The durations, the pitch and the energy that a model predicts shape everything behind them, and the phase of its
//! harmonics is the sum of all pitch before: the least change of F0 scrambles the waveform, and any distance between
//! two free-running models saturates. So a candidate is judged in two parts, in one run of each sentence through a
//! graph that was opened at the recipe's probe points:
//!
//! - **prosody**: what the candidate predicts beside what the base does; F0 and energy with the base's durations, so
//!   that the curves lie frame on frame;
//! - **sound**: what the candidate makes of the base's durations, F0 and energy, beside what the base makes of them.
//!   Of the same sound there is an **opinion**, by networks that rate speech as listeners would.
//!
//! Every number stands beside the noise floor: the same measured of an exact rewrite of the base, which differs from
//! it in nothing but rounding.

mod dnsmos;
mod gate;
mod kept;
pub mod metric;
mod opened;
mod opinion;
pub mod prosody;
mod reference;
mod ruler;
pub mod sound;
mod speech;
mod table;

pub use self::dnsmos::{Dnsmos, DnsmosModels};
pub use self::gate::{Description, fidelity_gate, metrics};
pub use self::opened::open;
pub use self::opinion::{Opinion, Scores};
pub use self::ruler::{Ruler, Setting};
pub use self::speech::{Beside, Fidelity, SentenceFidelity, Speech};
pub use self::table::fidelity_table;
