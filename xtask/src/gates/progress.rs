//! How far a gate has come: a bar with the time left on a terminal, else plain lines.
//!
//! Nobody waits for ten seconds without a sign: a log gets a line for a step that is not done by then.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a log goes without a line at the most.
const SILENCE: Duration = Duration::from_secs(8);

/// Where the progress of gates goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A bar on standard error that redraws itself.
    Bar,
    /// Plain lines on standard error.
    Lines,
    /// Nothing, for tests and scripts.
    Nothing,
}

impl Progress {
    /// A bar if standard error `redraws`, else lines; see [`crate::environment::Environment::redraws`].
    pub fn stderr(redraws: bool) -> Self {
        if redraws { Self::Bar } else { Self::Lines }
    }

    /// Says that something short begins.
    pub(crate) fn say(self, line: &str) {
        if self != Self::Nothing {
            eprintln!("{line}");
        }
    }

    /// Starts to show `what`, which takes `steps` steps.
    pub(crate) fn start(self, what: &str, steps: usize) -> Steps {
        let bar = (self == Self::Bar).then(|| {
            // No colours, so that there is nothing for `NO_COLOR` to turn off.
            let style = ProgressStyle::with_template("{prefix} [{bar:24}] {pos} of {len}, {eta} left  {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr())
                .with_style(style)
                .with_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        if self == Self::Lines {
            eprintln!("{what}: 0 of {steps}");
        }
        Steps {
            bar,
            lines: (self == Self::Lines).then(|| heartbeat(what.to_owned())),
            said: Instant::now(),
            what: what.to_owned(),
            total: steps,
            done: 0,
            start: Instant::now(),
        }
    }
}

/// A gate at work.
pub(crate) struct Steps {
    bar: Option<ProgressBar>,
    /// Tells whoever watches over the silence of a log that a line was written.
    lines: Option<Sender<()>>,
    said: Instant,
    what: String,
    total: usize,
    done: usize,
    start: Instant,
}

impl Steps {
    /// One more step is done: `message`. A log gets a line for it.
    pub(crate) fn step(&mut self, message: &str) {
        self.done += 1;
        if let Some(bar) = &self.bar {
            bar.set_message(message.to_owned());
            bar.inc(1);
        } else if let Some(lines) = &self.lines {
            eprintln!("{}: {} of {}, {message}", self.what, self.done, self.total);
            self.said = Instant::now();
            // Whoever watches ends with this.
            let _ = lines.send(());
        }
    }

    /// Whether nothing is left of what was to be done.
    pub(crate) fn are_done(&self) -> bool {
        self.done == self.total
    }

    /// There are more to do than was thought.
    pub(crate) fn more(&mut self, steps: usize) {
        self.total += steps;
        if let Some(bar) = &self.bar {
            bar.inc_length(steps as u64);
        }
    }

    /// One more of many steps is done. A log gets a line for each tenth of the way, and where that takes long.
    pub(crate) fn small_step(&mut self, message: &str) {
        let tenth = |done: usize| done * 10 / self.total.max(1);
        let is_due = tenth(self.done + 1) > tenth(self.done) || self.said.elapsed() > SILENCE / 2;
        if self.bar.is_some() || is_due {
            let left = self.start.elapsed().as_secs_f64() * (self.total.saturating_sub(self.done + 1)) as f64
                / (self.done + 1) as f64;
            // The bar shows its own estimate.
            let message = if self.bar.is_some() { message.to_owned() } else { format!("{left:.0} s left") };
            self.step(&message);
        } else {
            self.done += 1;
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes a line whenever none was written for [`SILENCE`], until the sender is gone.
fn heartbeat(what: String) -> Sender<()> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        let start = Instant::now();
        loop {
            match lines.recv_timeout(SILENCE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => eprintln!("{what}: {} s", start.elapsed().as_secs()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    sender
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_still_to_be_done() {
        let mut steps = Progress::Nothing.start("bench", 2);
        for done in [false, true] {
            steps.small_step("");
            assert_eq!(steps.are_done(), done);
        }
        steps.more(1);
        assert!(!steps.are_done());
        steps.small_step("");
        assert!(steps.are_done() && steps.done == 3);
    }
}
