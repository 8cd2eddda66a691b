//! Work on many things at once, sentences or candidates.
//!
//! Some operators run in one thread whatever a model is given, `Sin` and `InstanceNormalization` among them; models of
//! one thread each, on as many sentences, leave no processor waiting for them.
//!
//! On two processors, two models of one thread each get through the held-out sentences in four
//! fifths of the time that one model of two threads takes.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::Result;

/// How many models of so many `threads` the processor has room for; of one that chooses for itself, one.
pub(crate) fn jobs(threads: usize) -> usize {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    processors.checked_div(threads).map_or(1, |jobs| jobs.max(1))
}

/// Works on every task, `jobs` at once, and returns what came of each in the order of the tasks. Those of the greatest
/// `cost` go first, so that no long one is left for the end, when all others are done.
///
/// Each worker gets a tool of its own from `equip`. `done` hears of every task that is finished, in the caller's
/// thread.
///
/// # Errors
/// The first of `equip` and `work`; no task is begun after it.
pub(crate) fn share_out<T: Sync, W, R: Send>(
    jobs: usize,
    tasks: &[T],
    cost: impl Fn(&T) -> usize,
    equip: impl Fn() -> Result<W> + Sync,
    work: impl Fn(&mut W, &T) -> Result<R> + Sync,
    mut done: impl FnMut(&T),
) -> Result<Vec<R>> {
    let mut order: Vec<(usize, &T)> = tasks.iter().enumerate().collect();
    order.sort_by_key(|(_, task)| Reverse(cost(task)));
    let next = AtomicUsize::new(0);
    let worker = |sender: mpsc::SyncSender<Result<(usize, R)>>| {
        let mut tool = match equip() {
            Ok(tool) => tool,
            Err(error) => {
                // Nobody listens after another's error, which is the one to tell.
                let _ = sender.send(Err(error));
                return;
            }
        };
        while let Some(&(index, task)) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = work(&mut tool, task).map(|result| (index, result));
            let ended = result.is_err();
            if sender.send(result).is_err() || ended {
                return;
            }
        }
    };
    let worker = &worker;
    thread::scope(|scope| {
        // Without room a worker waits for its result to be taken, and so learns of an error before its next task.
        let (sender, receiver) = mpsc::sync_channel(0);
        for _ in 0..jobs.min(tasks.len()) {
            let sender = sender.clone();
            scope.spawn(move || worker(sender));
        }
        drop(sender);
        let mut results: Vec<Option<R>> = tasks.iter().map(|_| None).collect();
        for message in receiver {
            let (index, result) = message?;
            done(&tasks[index]);
            results[index] = Some(result);
        }
        Ok(results.into_iter().flatten().collect())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use anyhow::bail;

    use super::*;

    #[test]
    fn results_are_in_order_and_the_costly_go_first() {
        let costs = [3, 1, 4, 1, 5, 9, 2, 6];
        for jobs in [1, 3, 20] {
            let (begun, mut finished) = (Mutex::new(Vec::new()), 0);
            let results = share_out(
                jobs,
                &costs,
                |cost| *cost,
                || Ok(()),
                |(), cost| {
                    begun.lock().unwrap().push(*cost);
                    Ok(cost * 10)
                },
                |_| finished += 1,
            );
            assert_eq!(results.unwrap(), [30, 10, 40, 10, 50, 90, 20, 60], "{jobs} jobs");
            assert_eq!(finished, costs.len());
            let mut begun = begun.into_inner().unwrap();
            if jobs > 1 {
                begun.sort_by_key(|cost| Reverse(*cost));
            }
            assert_eq!(begun, [9, 6, 5, 4, 3, 2, 1, 1], "{jobs} jobs");
        }
    }

    #[test]
    fn as_many_work_at_once_as_there_are_jobs() {
        let (all_here, equipped) = (Barrier::new(3), AtomicUsize::new(0));
        let equip = || Ok(equipped.fetch_add(1, Ordering::Relaxed));
        // Three tasks that wait for each other are done by three workers only.
        let work = |_: &mut usize, (): &()| {
            all_here.wait();
            Ok(())
        };
        share_out(3, &[(); 3], |()| 0, equip, work, |()| ()).unwrap();
        assert_eq!(equipped.into_inner(), 3);
    }

    #[test]
    fn an_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let work = |(): &mut (), task: &usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *task == 98 {
                bail!("task 98")
            }
            Ok(())
        };
        let tasks: Vec<usize> = (0..100).collect();
        let error = share_out(2, &tasks, |task| *task, || Ok(()), work, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "task 98");
        assert!(begun.into_inner() < 10, "the others were begun as well");
        let error = share_out(2, &[1], |_| 0, || bail!("no tool"), |(): &mut (), _| Ok(()), |_| ());
        assert_eq!(error.unwrap_err().to_string(), "no tool");
    }

    #[test]
    fn jobs_fill_the_processor() {
        let all = thread::available_parallelism().unwrap().get();
        assert_eq!((jobs(1), jobs(all), jobs(all + 1), jobs(0)), (all, 1, 1, 1));
    }
}
