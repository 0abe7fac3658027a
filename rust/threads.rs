//! A batch over threads, row by row: a row is never split, so a row's bits never depend on it.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::simd::StandardFloats;

/// Logits below which a batch stays on the caller's thread: waking others costs more.
const WORTH_IT: usize = 1 << 16;

/// Logits that are handed out together: few, so that a thread which is held up leaves its rows to the others.
const PIECE: usize = 1 << 15;

/// The pool, the process it was made in and the number of threads asked for.
struct Pool {
    threads: usize,
    made: Option<(u32, Arc<ThreadPool>)>,
}

impl Pool {
    /// Lets go of the threads. Those of a parent process are forgotten: they are not in this one, and
    /// dropping them would wait for them.
    fn retire(&mut self) {
        if let Some((made_in, made)) = self.made.take()
            && made_in != std::process::id()
        {
            std::mem::forget(made);
        }
    }
}

static POOL: Mutex<Pool> = Mutex::new(Pool { threads: 0, made: None });

fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local!(static HELD: Cell<Option<MutexGuard<'static, Pool>>> = const { Cell::new(None) });

/// To be called by a thread that is about to fork: where another one held the lock at that moment, to make the pool, the
/// child would wait for it forever.
pub fn before_fork() {
    HELD.set(Some(lock()));
}

/// To be called by the same thread afterwards, in the parent and in the child.
pub fn after_fork() {
    HELD.take();
}

/// Uses this many threads for a batch from now on; 0 is as many as the environment
/// variable `RAYON_NUM_THREADS` says, else one per CPU that affinity and quota leave the process.
pub fn set_threads(threads: usize) {
    let mut pool = lock();
    pool.threads = threads;
    pool.retire();
}

/// How many threads a batch uses.
#[must_use]
pub fn threads() -> usize {
    count(lock().threads)
}

fn count(wanted: usize) -> usize {
    let from_environment = || std::env::var("RAYON_NUM_THREADS").ok()?.parse().ok().filter(|n| *n > 0);
    if wanted > 0 {
        return wanted;
    }
    from_environment()
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// The pool of this process: a fork's child has none of its parent's threads and makes its own.
fn pool() -> Option<Arc<ThreadPool>> {
    let mut pool = lock();
    let process = std::process::id();
    if let Some((made_in, made)) = &pool.made
        && *made_in == process
    {
        return Some(Arc::clone(made));
    }
    let threads = count(pool.threads);
    if threads < 2 {
        return None;
    }
    let built = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("rheostat-{i}"))
        .start_handler(|_| StandardFloats::begin().keep()); // a thread begins in the environment of who makes it
    let made = Arc::new(built.build().ok()?); // no threads to be had: the caller's own does it
    pool.retire();
    pool.made = Some((process, Arc::clone(&made)));
    Some(made)
}

/// Calls `work` for every item, on several threads where it pays, and collects the results in order.
pub fn map_rows<T: Send, R: Send>(
    items: Vec<T>,
    vocab: usize,
    work: impl Fn(usize, T) -> R + Sync,
) -> Vec<R> {
    let pays = items.len() > 1 && items.len().saturating_mul(vocab) >= WORTH_IT;
    match pays.then(pool).flatten() {
        Some(pool) => {
            let rows = items.into_par_iter().with_max_len((PIECE / vocab.max(1)).max(1)).enumerate();
            pool.install(|| rows.map(|(row, item)| work(row, item)).collect())
        }
        None => items.into_iter().enumerate().map(|(row, item)| work(row, item)).collect(),
    }
}
