//! A batch over threads, row by row: a row is never split, so a row's bits never depend on it.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::simd::StandardFloats;

/// Logits below which a batch stays on the caller's thread: waking others costs more.
const WORTH_IT: usize = 1 << 16;

/// Logits that are handed out together: few, so that a thread which is held up leaves its rows to the others.
const PIECE: usize = 1 << 15;

/// The number of threads asked for.
static WANTED: AtomicUsize = AtomicUsize::new(0);

/// The pool of one process. A fork's child has none of its parent's threads, and where one of them held the lock at that
/// moment, to make the pool, nobody will ever open it: so the child leaves its parent's place alone and takes the next.
/// Nobody need tell of the fork, which a library can do without Python: the process id does.
struct Place {
    /// Whose it is, as [`process`] says; 0 is nobody's.
    process: AtomicU64,
    pool: Mutex<Option<Arc<ThreadPool>>>,
}

/// One for each process of a line of forks. One that is further down uses no threads.
static PLACES: [Place; 64] = [const { Place { process: AtomicU64::new(0), pool: Mutex::new(None) } }; 64];

/// The forks that were told of, from the first process of the line to this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// To be called in a fork's child, by who can. In a namespace of its own a child may have its parent's process id.
pub fn after_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// This process among those of a line of forks.
fn process() -> u64 {
    u64::from(FORKS.load(Ordering::Relaxed)) << 32 | u64::from(std::process::id())
}

/// This process's pool; None where there is no place left.
fn lock() -> Option<MutexGuard<'static, Option<Arc<ThreadPool>>>> {
    let process = process();
    let is_own = |place: &&Place| {
        let taken = place.process.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed);
        taken.is_ok() || taken == Err(process)
    };
    let place = PLACES.iter().find(is_own)?;
    Some(place.pool.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Uses this many threads for a batch from now on; 0 is as many as the environment
/// variable `RAYON_NUM_THREADS` says, else one per CPU that affinity and quota leave the process.
pub fn set_threads(threads: usize) {
    WANTED.store(threads, Ordering::Relaxed);
    if let Some(mut pool) = lock() {
        *pool = None; // the next call makes another
    }
}

/// How many threads a batch uses.
#[must_use]
pub fn threads() -> usize {
    count(WANTED.load(Ordering::Relaxed))
}

fn count(wanted: usize) -> usize {
    let from_environment = || std::env::var("RAYON_NUM_THREADS").ok()?.parse().ok().filter(|n| *n > 0);
    if wanted > 0 {
        return wanted;
    }
    from_environment()
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

/// The pool of this process.
fn pool() -> Option<Arc<ThreadPool>> {
    let mut pool = lock()?;
    if let Some(made) = &*pool {
        return Some(Arc::clone(made));
    }
    let threads = threads();
    if threads < 2 {
        return None;
    }
    let built = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("rheostat-{i}"))
        .start_handler(|_| StandardFloats::begin().keep()); // a thread begins in the environment of who makes it
    let made = Arc::new(built.build().ok()?); // no threads to be had: the caller's own does it
    *pool = Some(Arc::clone(&made));
    Some(made)
}

/// Calls `work` for every item, on several threads where it pays, and collects the results in order.
///
/// ```
/// use rheostat::threads;
///
/// threads::set_threads(2); // of this process; 0 is as many as it may use
/// assert_eq!(threads::threads(), 2);
/// let batch = vec![1.0_f32; 4 * 50_000];
/// let rows: Vec<&[f32]> = batch.chunks(50_000).collect();
/// let sums = threads::map_rows(rows, 50_000, |at, row| (at, row.iter().sum::<f32>()));
/// assert_eq!(sums, [(0, 50_000.0), (1, 50_000.0), (2, 50_000.0), (3, 50_000.0)]);
/// ```
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
