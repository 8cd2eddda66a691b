//! What a fetch tells the person who waits: notices, and how far a download has come.
//!
//! On a terminal a bar with rate and time left; in a log a plain line every tenth of the way, and one whenever nothing has
//! been said for a while. Several things may go on at once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::cache::Size;

type Sink = Arc<dyn Fn(&str) + Send + Sync>;

/// How long a log may stay silent while something goes on.
const SILENCE: Duration = Duration::from_secs(8);

/// How often a bar or a spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// There is one standard error, so all consoles that write to it have their bars and their silence in common.
static STDERR: LazyLock<Arc<Shared>> = LazyLock::new(Arc::default);

/// Where notices and progress go.
#[derive(Clone)]
pub struct Console {
    sink: Sink,
    progress: Style,
    silence: Duration,
    shared: Arc<Shared>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Bar,
    Lines,
    Nothing,
}

/// What consoles of one place have in common.
struct Shared {
    bars: MultiProgress,
    /// When something was said last.
    spoke: Mutex<Instant>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { bars: MultiProgress::new(), spoke: Mutex::new(Instant::now()) }
    }
}

impl Console {
    /// Standard error: bars if `redraws`, else lines.
    pub fn stderr(redraws: bool) -> Self {
        let progress = if redraws { Style::Bar } else { Style::Lines };
        Self { shared: Arc::clone(&STDERR), ..Self::new(|line| eprintln!("{line}"), progress) }
    }

    /// Notices only, each given to `sink`.
    pub fn notices(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self::new(sink, Style::Nothing)
    }

    /// Notices and plain progress lines, each given to `sink`.
    pub fn lines(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self::new(sink, Style::Lines)
    }

    fn new(sink: impl Fn(&str) + Send + Sync + 'static, progress: Style) -> Self {
        Self { sink: Arc::new(sink), progress, silence: SILENCE, shared: Arc::default() }
    }

    /// Says one thing, above the bars if there are any.
    pub fn say(&self, line: &str) {
        *self.shared.spoke.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if self.progress == Style::Bar {
            self.shared.bars.suspend(|| (self.sink)(line));
        } else {
            (self.sink)(line);
        }
    }

    /// Starts to show the download of `name`.
    pub(super) fn progress(&self, name: &str, size: Size) -> Progress {
        let written = Arc::new(Position { written: AtomicU64::new(0), size: AtomicU64::new(size.limit()) });
        let heartbeat = self.heartbeat({
            let (name, written) = (name.to_owned(), Arc::clone(&written));
            move |seconds| format!("{name}: {written} after {seconds:.0} s")
        });
        let bar = self.bar(
            "{spinner} {msg} [{bar:24}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left",
            name,
        );
        if let Some(bar) = &bar {
            bar.set_length(size.limit());
        }
        Progress {
            console: self.clone(),
            name: name.to_owned(),
            position: written,
            bar,
            tenths: 0,
            _heartbeat: heartbeat,
        }
    }

    /// Shows that `what` is going on, for work that does not say how far it is.
    pub fn busy(&self, what: &str) -> Busy {
        let bar = self.bar("{spinner} {msg} {elapsed}", what);
        if bar.is_none() {
            self.say(what);
        }
        let heartbeat = self.heartbeat({
            let what = what.to_owned();
            move |seconds| format!("{what}, for {seconds:.0} s now")
        });
        Busy { console: self.clone(), start: Instant::now(), _bar: bar, _heartbeat: heartbeat }
    }

    /// A bar or spinner below those that there are, where they are shown.
    fn bar(&self, template: &str, message: &str) -> Option<Bar> {
        (self.progress == Style::Bar).then(|| {
            // No colours, so that there is nothing for `NO_COLOR` to turn off.
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::no_length().with_style(style).with_message(message.to_owned());
            let bar = self.shared.bars.add(bar);
            bar.enable_steady_tick(TICK);
            Bar { bar, bars: self.shared.bars.clone() }
        })
    }

    /// Has a log say `line`, of the seconds since now, whenever nothing else was said for a while.
    fn heartbeat(&self, line: impl Fn(f64) -> String + Send + 'static) -> Option<Heartbeat> {
        (self.progress == Style::Lines).then(|| {
            let (console, start) = (self.clone(), Instant::now());
            let (going, ended) = channel();
            let thread = thread::spawn(move || {
                let mut pause = console.silence;
                while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    pause = console.break_silence(|| line(start.elapsed().as_secs_f64()));
                }
            });
            Heartbeat { going: Some(going), thread: Some(thread) }
        })
    }

    /// Says `line` if nothing was said for a while, and returns when it may be time again. Of several things that go on, one
    /// says so.
    fn break_silence(&self, line: impl Fn() -> String) -> Duration {
        let mut spoke = self.shared.spoke.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.silence.saturating_sub(spoke.elapsed());
        if !left.is_zero() {
            return left;
        }
        *spoke = Instant::now();
        drop(spoke);
        (self.sink)(&line());
        self.silence
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("progress", &self.progress).finish_non_exhaustive()
    }
}

/// A bar that goes away with the value.
struct Bar {
    bar: ProgressBar,
    bars: MultiProgress,
}

impl std::ops::Deref for Bar {
    type Target = ProgressBar;

    fn deref(&self) -> &ProgressBar {
        &self.bar
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.bars.remove(&self.bar);
    }
}

/// Breaks the silence of a log until it is dropped.
struct Heartbeat {
    going: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.going.take());
        // What goes on is not told of once it has ended.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How many bytes of how many are on the disk.
struct Position {
    written: AtomicU64,
    size: AtomicU64,
}

impl Position {
    fn get(&self) -> (u64, u64) {
        (self.written.load(Ordering::Relaxed), self.size.load(Ordering::Relaxed))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (written, size) = self.get();
        write!(f, "{:.1} of {:.1} MiB", mib(written), mib(size))
    }
}

/// How far one download has come.
pub(super) struct Progress {
    console: Console,
    name: String,
    position: Arc<Position>,
    bar: Option<Bar>,
    tenths: u64,
    _heartbeat: Option<Heartbeat>,
}

impl Progress {
    /// `written` bytes are on the disk.
    pub(super) fn at(&mut self, written: u64) {
        let before = self.tenths;
        self.move_to(written);
        if self.console.progress == Style::Lines && self.tenths > before {
            self.console.say(&format!("{}: {} %, {}", self.name, self.tenths * 10, self.position));
        }
    }

    /// `written` bytes of an earlier attempt are on the disk; the rate starts from here.
    pub(super) fn start_at(&mut self, written: u64) {
        self.move_to(written);
        if let Some(bar) = &self.bar {
            bar.reset_eta();
        }
    }

    fn move_to(&mut self, written: u64) {
        self.position.written.store(written, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_position(written);
        }
        self.tenths = written * 10 / self.position.get().1.max(1);
    }

    /// The size is now known to be `size`.
    pub(super) fn of(&mut self, size: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(size);
        }
        self.position.size.store(size, Ordering::Relaxed);
    }

    /// Says one thing.
    pub(super) fn say(&self, line: &str) {
        self.console.say(line);
    }
}

/// Shows that something is going on until it is dropped.
pub struct Busy {
    console: Console,
    start: Instant,
    _bar: Option<Bar>,
    _heartbeat: Option<Heartbeat>,
}

impl Busy {
    /// Ends it, and says `what` was done and in how many seconds.
    pub fn done(self, what: &str) {
        let (console, seconds) = (self.console.clone(), self.start.elapsed().as_secs_f64());
        drop(self);
        console.say(&format!("{what} in {seconds:.1} s"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A console whose log may be silent for `silence`, and what was said.
    fn log(silence: Duration) -> (Console, Arc<Mutex<Vec<String>>>) {
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&said);
        let console = Console::lines(move |line| sink.lock().unwrap().push(line.to_owned()));
        (Console { silence, ..console }, said)
    }

    fn wait_until(said: &Mutex<Vec<String>>, condition: impl Fn(&[String]) -> bool) {
        let start = Instant::now();
        while !condition(&said.lock().unwrap()) {
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", said.lock().unwrap());
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_log_gets_a_line_for_each_tenth_and_one_in_every_silence() {
        let (console, said) = log(Duration::from_millis(20));
        let mut download = console.progress("file", Size::Exactly(10 << 20));
        let busy = console.busy("restoring");
        wait_until(&said, |said| said.iter().any(|line| line.starts_with("file: 0.0 of 10.0 MiB after ")));
        wait_until(&said, |said| said.iter().any(|line| line.starts_with("restoring, for ")));
        download.at(3 << 20);
        wait_until(&said, |said| said.iter().any(|line| line.starts_with("file: 3.0 of 10.0 MiB after ")));
        drop(download);
        busy.done("restored");
        let at_the_end = said.lock().unwrap().clone();
        assert_eq!(at_the_end[0], "restoring");
        assert!(at_the_end.contains(&"file: 30 %, 3.0 of 10.0 MiB".to_owned()), "{at_the_end:?}");
        assert!(at_the_end.last().unwrap().starts_with("restored in 0."), "{at_the_end:?}");
        thread::sleep(Duration::from_millis(60));
        assert_eq!(*said.lock().unwrap(), at_the_end, "something goes on that has ended");
    }

    #[test]
    fn where_others_speak_nobody_breaks_a_silence() {
        let (console, said) = log(Duration::from_mins(1));
        let busy = console.busy("one");
        for pause in [console.break_silence(String::new), console.break_silence(String::new)] {
            assert!(pause > Duration::from_secs(50) && pause <= Duration::from_mins(1), "{pause:?}");
        }
        drop(busy);
        assert_eq!(*said.lock().unwrap(), ["one"]);
    }
}
