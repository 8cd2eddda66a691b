//! Ending speech from another thread.
//!
//! A run is ended by ONNX Runtime's own means: each has run options of its own, whose `terminate`
//! makes the runtime return at the next operator. The session is as before.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ort::session::RunOptions;

/// Ends speech that is being made, from any thread: cloned, all clones are one. Once cancelled it stays so.
///
/// A run of the model ends at its next operator, within milliseconds; what would follow is not begun. One handle may end
/// any number of streams.
///
/// ```no_run
/// # fn speak(synthesizer: &mut kokoro_model::Synthesizer, styles: &kokoro_model::VoiceStyles)
/// # -> Result<(), kokoro_model::Error> {
/// use kokoro_model::{Cancellation, ErrorKind};
///
/// let cancellation = Cancellation::new();
/// let handle = cancellation.clone();
/// std::thread::spawn(move || {
///     std::thread::sleep(std::time::Duration::from_secs(1));
///     handle.cancel();
/// });
/// let stream = synthesizer.stream_phonemes("həlˈO wˈɜɹld.", styles, 1.0)?.cancelled_by(&cancellation);
/// for utterance in stream {
///     match utterance {
///         Ok(utterance) => println!("{:?}", utterance.audio.duration()),
///         Err(error) if *error.kind() == ErrorKind::Cancelled => break,
///         Err(error) => return Err(error),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Cancellation {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    cancelled: AtomicBool,
    /// The runs in progress; a run is added before it begins and removed when it is over.
    runs: Mutex<Vec<Arc<RunOptions>>>,
    /// What is called where something waits.
    wakers: Mutex<Vec<Arc<Waker>>>,
}

/// Wakes what waits.
type Waker = dyn Fn() + Send + Sync;

impl Cancellation {
    /// A handle that has not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends what the handle was given to.
    pub fn cancel(&self) {
        let runs = self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that no run begins between the flag and the list.
        self.inner.cancelled.store(true, Ordering::SeqCst);
        for run in runs.iter() {
            // A run that cannot be ended goes on to its end; what follows it is not begun.
            let _ = run.terminate();
        }
        drop(runs);
        let wakers = self.inner.wakers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for wake in &wakers {
            wake();
        }
    }

    /// Calls `wake` when it is cancelled, until what is returned is dropped. What is cancelled already calls nothing.
    pub(crate) fn on_cancel(&self, wake: impl Fn() + Send + Sync + 'static) -> Woken<'_> {
        let waker: Arc<Waker> = Arc::new(wake);
        self.inner.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&waker));
        Woken { inner: &self.inner, waker }
    }

    /// Whether [`Self::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    /// Runs `run` with options by which it can be ended; `None` if it was cancelled before.
    pub(crate) fn run<T>(&self, run: impl FnOnce(&RunOptions) -> ort::Result<T>) -> Option<ort::Result<T>> {
        let options = match RunOptions::new() {
            Ok(options) => Arc::new(options),
            Err(error) => return Some(Err(error)),
        };
        {
            let mut runs = self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner);
            if self.is_cancelled() {
                return None;
            }
            runs.push(Arc::clone(&options));
        }
        let _listed = Listed { inner: &self.inner, options: &options };
        Some(run(&options))
    }
}

/// A waker in the list; dropped, it is taken out.
pub(crate) struct Woken<'a> {
    inner: &'a Inner,
    waker: Arc<Waker>,
}

impl Drop for Woken<'_> {
    fn drop(&mut self) {
        let mut wakers = self.inner.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.retain(|waker| !Arc::ptr_eq(waker, &self.waker));
    }
}

/// A run in the list; dropped, it is taken out, be it by a panic.
struct Listed<'a> {
    inner: &'a Inner,
    options: &'a Arc<RunOptions>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        let mut runs = self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|run| !Arc::ptr_eq(run, self.options));
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner).len();
        let mut debug = formatter.debug_struct("Cancellation");
        debug.field("cancelled", &self.is_cancelled()).field("runs", &runs).finish()
    }
}
