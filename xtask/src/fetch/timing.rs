//! How long to wait, and how often to try.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The patience of a fetch.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes, be it of the answer's head or of its body.
    pub stall: Duration,
    /// How often one source is asked in a row without getting on.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one.
    pub first_pause: Duration,
    /// Between any two attempts, even if the server asks for more.
    pub longest_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            attempts: 4,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(20),
        }
    }
}

impl Timing {
    /// The pause after failure number `failures`, counted from 1.
    ///
    /// Half of it is left to chance, so that many machines that failed together do not return together.
    pub(super) fn pause(&self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
        let chance = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
        let pause = doubled.min(self.longest_pause).mul_f64(0.5 + chance / 2.0);
        pause.max(retry_after.unwrap_or_default()).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let timing = Timing::default();
        for (failures, full) in [(1, 0.5), (2, 1.0), (3, 2.0), (7, 20.0), (60, 20.0)] {
            for _ in 0..20 {
                let pause = timing.pause(failures, None).as_secs_f64();
                assert!((full / 2.0..=full).contains(&pause), "{failures}: {pause} s of {full} s");
            }
        }
    }

    #[test]
    fn the_server_may_ask_for_a_longer_pause_within_bounds() {
        let timing = Timing::default();
        assert_eq!(timing.pause(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(timing.pause(1, Some(Duration::from_hours(1))), timing.longest_pause);
    }
}
