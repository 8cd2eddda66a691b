//! Synthesizers that threads share.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cancellation::Cancellation;
use crate::error::{Error, ErrorKind};
use crate::synthesizer::Synthesizer;

/// A fixed number of synthesizers, for servers: a thread takes one, speaks, and lets the next thread have it.
///
/// Synthesizers of one prepared model, such as the one embedded, share its weights, 340 MB for Kokoro; each after the first takes
/// 40 MB more, and the memory that its longest run took: some hundred megabytes. Give each its share of the processors by
/// [`SynthesizerOptions::threads`](crate::SynthesizerOptions::threads).
///
/// ```no_run
/// # #[cfg(feature = "embed")]
/// # fn speak(styles: &kokoro_model::VoiceStyles) -> Result<(), kokoro_model::Error> {
/// use kokoro_model::{Pool, Runtime, Synthesizer};
///
/// let runtime = Runtime::load()?;
/// let pool = Pool::new(2, || Synthesizer::embedded(&runtime))?;
/// std::thread::scope(|scope| {
///     for phonemes in ["wˈʌn.", "tˈu.", "θɹˈi."] {
///         let pool = &pool;
///         scope.spawn(move || pool.checkout().speak_phonemes(phonemes, styles, 1.0));
///     }
/// });
/// # Ok(())
/// # }
/// ```
pub struct Pool {
    slots: Arc<Slots<Synthesizer>>,
}

impl Pool {
    /// A pool of `size` synthesizers that `make` makes, one after the other.
    ///
    /// # Errors
    /// [`ErrorKind::EmptyPool`] for a size of 0, else the first error of `make`.
    pub fn new(size: usize, mut make: impl FnMut() -> Result<Synthesizer, Error>) -> Result<Self, Error> {
        if size == 0 {
            return Err(ErrorKind::EmptyPool.into());
        }
        let idle = (0..size).map(|_| make()).collect::<Result<_, _>>()?;
        Ok(Self { slots: Arc::new(Slots::new(idle)) })
    }

    /// How many synthesizers there are, idle or not.
    pub fn size(&self) -> usize {
        self.slots.size
    }

    /// An idle synthesizer; waits until there is one. Threads that wait are served in the order in which they came.
    ///
    /// A thread that takes one while it holds another may wait for itself.
    pub fn checkout(&self) -> PooledSynthesizer {
        // Without a time and a cancellation nothing but a synthesizer ends the wait.
        loop {
            if let Some(taken) = self.slots.take(None, None) {
                return PooledSynthesizer(taken);
            }
        }
    }

    /// An idle synthesizer, after at most `timeout`.
    ///
    /// ```no_run
    /// # fn speak(pool: &kokoro_model::Pool, styles: &kokoro_model::VoiceStyles) -> Result<(), kokoro_model::Error> {
    /// let mut synthesizer = pool.checkout_timeout(std::time::Duration::from_secs(2))?;
    /// synthesizer.speak_phonemes("həlˈO.", styles, 1.0)?.write_wav("hello.wav")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::PoolBusy`].
    pub fn checkout_timeout(&self, timeout: Duration) -> Result<PooledSynthesizer, Error> {
        let taken = self.slots.take(Some(timeout), None);
        let busy = || ErrorKind::PoolBusy { size: self.size(), waited: timeout };
        Ok(PooledSynthesizer(taken.ok_or_else(busy)?))
    }

    /// An idle synthesizer, unless `cancellation` ends the wait for it.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`].
    pub fn checkout_cancelled_by(&self, cancellation: &Cancellation) -> Result<PooledSynthesizer, Error> {
        let slots = Arc::clone(&self.slots);
        // It takes the lock, so that no thread misses it between looking and waiting.
        let _woken = cancellation.on_cancel(move || {
            drop(slots.state());
            slots.changed.notify_all();
        });
        let taken = self.slots.take(None, Some(cancellation));
        Ok(PooledSynthesizer(taken.ok_or(ErrorKind::Cancelled)?))
    }

    /// An idle synthesizer, if there is one now that nobody waits for.
    ///
    /// ```no_run
    /// # fn speak(pool: &kokoro_model::Pool, styles: &kokoro_model::VoiceStyles) -> Result<(), kokoro_model::Error> {
    /// if let Some(mut synthesizer) = pool.try_checkout() {
    ///     synthesizer.speak_phonemes("həlˈO.", styles, 1.0)?.write_wav("hello.wav")?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_checkout(&self) -> Option<PooledSynthesizer> {
        self.slots.take(Some(Duration::ZERO), None).map(PooledSynthesizer)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// A synthesizer out of a [`Pool`]; dropped, it goes back. It may outlive the pool.
#[derive(Debug)]
pub struct PooledSynthesizer(Taken<Synthesizer>);

impl Deref for PooledSynthesizer {
    type Target = Synthesizer;

    fn deref(&self) -> &Synthesizer {
        self.0.value()
    }
}

impl DerefMut for PooledSynthesizer {
    fn deref_mut(&mut self) -> &mut Synthesizer {
        self.0.value_mut()
    }
}

/// Values that are idle, and threads that wait for one.
struct Slots<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    size: usize,
}

struct State<T> {
    idle: Vec<T>,
    /// Those who wait, the first to be served in front.
    waiting: VecDeque<u64>,
    /// The number of the next who waits.
    next: u64,
}

impl<T> Slots<T> {
    fn new(idle: Vec<T>) -> Self {
        let size = idle.len();
        let state = State { idle, waiting: VecDeque::new(), next: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), size }
    }

    /// A thread that panicked held no value half-changed: the lock is held only to push or to pop.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A value for the one who waits the longest, or `None` after the time and where it is cancelled.
    fn take(
        self: &Arc<Self>,
        timeout: Option<Duration>,
        cancellation: Option<&Cancellation>,
    ) -> Option<Taken<T>> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.waiting.push_back(number);
        loop {
            let is_first = state.waiting.front() == Some(&number);
            let cancelled = cancellation.is_some_and(Cancellation::is_cancelled);
            if is_first
                && !cancelled
                && let Some(value) = state.idle.pop()
            {
                state.waiting.pop_front();
                // The next one may be served, too.
                self.changed.notify_all();
                return Some(Taken { slots: Arc::clone(self), value: Some(value) });
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if cancelled || left.is_some_and(|left| left.is_zero()) {
                state.waiting.retain(|waiting| *waiting != number);
                self.changed.notify_all();
                return None;
            }
            state = match left {
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// A value that goes back when it is dropped, be it by a panic.
struct Taken<T> {
    slots: Arc<Slots<T>>,
    value: Option<T>,
}

impl<T> Taken<T> {
    fn value(&self) -> &T {
        self.value.as_ref().expect("the value is taken out by drop alone")
    }

    fn value_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("the value is taken out by drop alone")
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        self.slots.state().idle.extend(self.value.take());
        self.slots.changed.notify_all();
    }
}

impl<T: fmt::Debug> fmt::Debug for Taken<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Holds only if what it is asked about may go to, or be shared with, another thread.
    fn threads<T: Send + Sync>() {}

    fn sent<T: Send + 'static>() {}

    #[test]
    fn everything_may_be_used_from_threads() {
        threads::<Pool>();
        threads::<Synthesizer>();
        threads::<PooledSynthesizer>();
        threads::<crate::Cancellation>();
        sent::<crate::SpeechStream<'static>>();
        threads::<crate::Error>();
        threads::<crate::Speaker>();
    }

    #[test]
    fn an_empty_pool_is_refused_and_an_error_of_making_is_passed_on() {
        let never = || -> Result<Synthesizer, Error> { panic!("nothing is to be made") };
        assert_eq!(Pool::new(0, never).unwrap_err().kind(), &ErrorKind::EmptyPool);
        let failing = || Err(ErrorKind::NothingEmbedded.into());
        assert_eq!(Pool::new(2, failing).unwrap_err().kind(), &ErrorKind::NothingEmbedded);
    }

    #[test]
    fn no_more_are_out_than_there_are_and_all_come_back() {
        let slots = Arc::new(Slots::new(vec![0_usize; 3]));
        let (out, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mut taken = slots.take(None, None).unwrap();
                        let now = out.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        *taken.value_mut() += 1;
                        std::thread::yield_now();
                        out.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        let idle = &slots.state().idle;
        assert_eq!((idle.len(), idle.iter().sum::<usize>()), (3, 16 * 200));
    }

    #[test]
    fn what_a_panicking_thread_held_comes_back() {
        let slots = Arc::new(Slots::new(vec![7]));
        let result = std::thread::scope(|scope| {
            let held = scope.spawn(|| {
                let _taken = slots.take(None, None).unwrap();
                panic!("on purpose");
            });
            held.join()
        });
        assert!(result.is_err());
        let taken = slots.take(Some(Duration::ZERO), None).expect("it came back");
        assert_eq!(*taken.value(), 7);
        assert!(slots.take(Some(Duration::ZERO), None).is_none(), "the only one is out");
    }

    /// Waits until so many wait.
    fn until_waiting<T>(slots: &Slots<T>, count: usize) {
        while slots.state().waiting.len() < count {
            std::thread::yield_now();
        }
    }

    #[test]
    fn who_waits_the_longest_is_served_first() {
        let slots = Arc::new(Slots::new(vec![()]));
        let served = Mutex::new(Vec::new());
        let held = slots.take(None, None);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (slots, served) = (&slots, &served);
                scope.spawn(move || {
                    let taken = slots.take(None, None);
                    served.lock().unwrap().push(number);
                    drop(taken);
                });
                until_waiting(slots, number + 1);
            }
            drop(held);
        });
        assert_eq!(served.into_inner().unwrap(), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_wait_ends_with_its_time_and_by_cancellation() {
        let slots = Arc::new(Slots::new(vec![()]));
        let held = slots.take(None, None);
        assert!(slots.take(Some(Duration::from_millis(5)), None).is_none());
        let cancellation = Cancellation::new();
        let pool_slots = Arc::clone(&slots);
        let woken = cancellation.on_cancel(move || {
            drop(pool_slots.state());
            pool_slots.changed.notify_all();
        });
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.take(None, Some(&cancellation)).is_none());
            until_waiting(&slots, 1);
            cancellation.cancel();
            assert!(waiting.join().unwrap());
        });
        drop(woken);
        assert!(slots.state().waiting.is_empty(), "who gave up waits no more");
        drop(held);
        assert!(slots.take(None, Some(&cancellation)).is_none(), "it stays cancelled");
        assert!(slots.take(Some(Duration::ZERO), None).is_some());
    }
}
