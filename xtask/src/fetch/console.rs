//! What a fetch tells the person who waits: notices, and how far a download has come.
//!
//! On a terminal a bar with rate and time left; in a log a plain line every tenth of the way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::cache::Size;

type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// Where notices and progress go.
#[derive(Clone)]
pub struct Console {
    sink: Sink,
    progress: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bar,
    Lines,
    Nothing,
}

impl Console {
    /// Standard error: bars if `redraws`, else lines.
    pub fn stderr(redraws: bool) -> Self {
        Self {
            sink: Arc::new(|line| eprintln!("{line}")),
            progress: if redraws { Style::Bar } else { Style::Lines },
        }
    }

    /// Notices only, each given to `sink`.
    pub fn notices(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), progress: Style::Nothing }
    }

    /// Notices and plain progress lines, each given to `sink`.
    pub fn lines(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), progress: Style::Lines }
    }

    /// Says one thing.
    pub fn say(&self, line: &str) {
        (self.sink)(line);
    }

    /// Starts to show the download of `name`.
    pub(super) fn progress(&self, name: &str, size: Size) -> Progress {
        let bar = (self.progress == Style::Bar).then(|| bar(name, size.limit()));
        Progress { console: self.clone(), name: name.to_owned(), size: size.limit(), bar, tenths: 0 }
    }

    /// Shows that `what` is going on, for work that does not say how far it is.
    pub(super) fn busy(&self, what: &str) -> Busy {
        if self.progress == Style::Bar {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                .with_style(style("{spinner} {msg} {elapsed}"))
                .with_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            return Busy(Some(bar));
        }
        self.say(what);
        Busy(None)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// No colours, so that there is nothing for `NO_COLOR` to turn off.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn bar(name: &str, bytes: u64) -> ProgressBar {
    ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr())
        .with_style(style(
            "{msg} [{bar:24}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
        ))
        .with_message(name.to_owned())
}

/// How far one download has come.
pub(super) struct Progress {
    console: Console,
    name: String,
    size: u64,
    bar: Option<ProgressBar>,
    tenths: u64,
}

impl Progress {
    /// `written` bytes are on the disk.
    pub(super) fn at(&mut self, written: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(written);
        }
        let tenths = written * 10 / self.size.max(1);
        if self.console.progress == Style::Lines && tenths > self.tenths {
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            self.console.say(&format!(
                "{}: {} %, {:.1} of {:.1} MiB",
                self.name,
                tenths * 10,
                mib(written),
                mib(self.size)
            ));
        }
        self.tenths = tenths;
    }

    /// `written` bytes of an earlier attempt are on the disk; the rate starts from here.
    pub(super) fn start_at(&mut self, written: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(written);
            bar.reset_eta();
        }
        self.tenths = written * 10 / self.size.max(1);
    }

    /// The size is now known to be `size`.
    pub(super) fn of(&mut self, size: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(size);
        }
        self.size = size;
    }

    /// Says one thing above the bar.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.console.say(line)),
            None => self.console.say(line),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows that something is going on until it is dropped.
pub(super) struct Busy(Option<ProgressBar>);

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
