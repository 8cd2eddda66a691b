//! How far the speech is, on a terminal.

use std::io::{self, IsTerminal as _, Write as _};

use crate::output::Output;
use crate::timings::Clock;

/// One line on standard error that is written over again and again, if that is a terminal and a file is made.
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Of sound that is played, the sound itself tells how far it is.
    pub fn new(output: &Output) -> Self {
        Self { shown: output.is_file() && io::stderr().is_terminal() }
    }

    /// Shows the share of the text that was said, and how long it lasts until now.
    pub fn show(&mut self, share: f32, clock: &Clock) {
        if self.shown {
            let seconds = clock.audio().as_secs();
            let text = format!("{:3.0} %  {}:{:02} of speech", 100.0 * share, seconds / 60, seconds % 60);
            // Nobody is harmed if it cannot be seen.
            let _ = write!(io::stderr(), "\r{text}");
        }
    }

    /// Takes the line away.
    pub fn end(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r{:40}\r", "");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
