//! Synthesizers that threads share.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind};
use crate::synthesizer::Synthesizer;

/// A fixed number of synthesizers, for servers: a thread takes one, speaks, and lets the next thread have it.
///
/// Each synthesizer holds the weights in float, 330 MB for Kokoro, and the memory that its longest run took; a process with
/// one was seen to take 0.8 GB. Give each its share of the processors by
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
    slots: Slots<Synthesizer>,
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
        Ok(Self { slots: Slots::new(idle) })
    }

    /// How many synthesizers there are, idle or not.
    pub fn size(&self) -> usize {
        self.slots.size
    }

    /// An idle synthesizer; waits until there is one. Threads that wait are served in no particular order.
    ///
    /// A thread that takes one while it holds another may wait for itself.
    pub fn checkout(&self) -> PooledSynthesizer<'_> {
        PooledSynthesizer(self.slots.take())
    }

    /// An idle synthesizer, if there is one now.
    ///
    /// ```no_run
    /// # fn speak(pool: &kokoro_model::Pool, styles: &kokoro_model::VoiceStyles) -> Result<(), kokoro_model::Error> {
    /// if let Some(mut synthesizer) = pool.try_checkout() {
    ///     synthesizer.speak_phonemes("həlˈO.", styles, 1.0)?.write_wav("hello.wav")?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_checkout(&self) -> Option<PooledSynthesizer<'_>> {
        self.slots.try_take().map(PooledSynthesizer)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// A synthesizer out of a [`Pool`]; dropped, it goes back.
#[derive(Debug)]
pub struct PooledSynthesizer<'a>(Taken<'a, Synthesizer>);

impl Deref for PooledSynthesizer<'_> {
    type Target = Synthesizer;

    fn deref(&self) -> &Synthesizer {
        self.0.value()
    }
}

impl DerefMut for PooledSynthesizer<'_> {
    fn deref_mut(&mut self) -> &mut Synthesizer {
        self.0.value_mut()
    }
}

/// Values that are idle, and threads that wait for one.
struct Slots<T> {
    idle: Mutex<Vec<T>>,
    returned: Condvar,
    size: usize,
}

impl<T> Slots<T> {
    fn new(idle: Vec<T>) -> Self {
        Self { size: idle.len(), idle: Mutex::new(idle), returned: Condvar::new() }
    }

    /// A thread that panicked held no value half-changed: the lock is held only to push or to pop.
    fn idle(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Taken<'_, T> {
        let mut idle = self.idle();
        loop {
            if let Some(value) = idle.pop() {
                return Taken { slots: self, value: Some(value) };
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn try_take(&self) -> Option<Taken<'_, T>> {
        let value = self.idle().pop()?;
        Some(Taken { slots: self, value: Some(value) })
    }
}

/// A value that goes back when it is dropped, be it by a panic.
struct Taken<'a, T> {
    slots: &'a Slots<T>,
    value: Option<T>,
}

impl<T> Taken<'_, T> {
    fn value(&self) -> &T {
        self.value.as_ref().expect("the value is taken out by drop alone")
    }

    fn value_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("the value is taken out by drop alone")
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.slots.idle().extend(self.value.take());
        self.slots.returned.notify_one();
    }
}

impl<T: fmt::Debug> fmt::Debug for Taken<'_, T> {
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

    #[test]
    fn everything_may_be_used_from_threads() {
        threads::<Pool>();
        threads::<Synthesizer>();
        threads::<PooledSynthesizer<'static>>();
        threads::<crate::Cancellation>();
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
        let slots = Slots::new(vec![0_usize; 3]);
        let (out, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mut taken = slots.take();
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
        let idle = slots.idle();
        assert_eq!((idle.len(), idle.iter().sum::<usize>()), (3, 16 * 200));
    }

    #[test]
    fn what_a_panicking_thread_held_comes_back() {
        let slots = Slots::new(vec![7]);
        let result = std::thread::scope(|scope| {
            let held = scope.spawn(|| {
                let _taken = slots.take();
                panic!("on purpose");
            });
            held.join()
        });
        assert!(result.is_err());
        let taken = slots.try_take().expect("it came back");
        assert_eq!(*taken.value(), 7);
        assert!(slots.try_take().is_none(), "the only one is out");
    }
}
