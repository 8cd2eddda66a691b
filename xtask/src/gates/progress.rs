//! How far a gate has come: a bar with the time left on a terminal, else plain lines.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
            ProgressBar::with_draw_target(Some(steps as u64), ProgressDrawTarget::stderr())
                .with_style(style)
                .with_prefix(what.to_owned())
        });
        if self == Self::Lines {
            eprintln!("{what}: 0 of {steps}");
        }
        Steps {
            bar,
            lines: self == Self::Lines,
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
    lines: bool,
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
        } else if self.lines {
            eprintln!("{}: {} of {}, {message}", self.what, self.done, self.total);
        }
    }

    /// One more of many steps is done. A log gets a line for each tenth of the way.
    pub(crate) fn small_step(&mut self, message: &str) {
        let tenth = |done: usize| done * 10 / self.total.max(1);
        if self.bar.is_some() || tenth(self.done + 1) > tenth(self.done) {
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
