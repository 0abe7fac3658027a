//! Ctrl-C during a long batch: the work goes in spells, and between two of them Python hears of the signals.

use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::threads;

/// How long a spell lasts. Between two of them the GIL is taken, for which another thread of Python's may let wait 5 ms.
const SPELL: Duration = Duration::from_millis(50);

/// Logits between two looks at the clock: a millisecond's work or two.
const PIECE: usize = 1 << 22;

/// Rows between two looks at the clock at least: there must be enough of them for all threads.
const ROWS: usize = 64;

/// `work` on every item, over threads where it pays, and the results in order; `cost` is that of an item, in logits.
/// What the handler of a signal raises ends it. The GIL may be held or not.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime")]
pub fn map_rows<T: Send, R: Send>(
    items: Vec<T>,
    cost: usize,
    work: impl Fn(T) -> R + Sync,
) -> PyResult<Vec<R>> {
    let piece = (PIECE / cost.max(1)).max(ROWS);
    let mut results = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    let mut begun = Instant::now();
    loop {
        let some = items.by_ref().take(piece).collect();
        results.extend(threads::map_rows(some, cost, |_, item| work(item)));
        if items.len() == 0 {
            return Ok(results); // what comes now, Python sees as the call returns
        }
        if begun.elapsed() >= SPELL {
            // No attaching means that Python is about to end: so will this thread.
            Python::try_attach(|py| py.check_signals()).unwrap_or(Ok(()))?;
            begun = Instant::now();
        }
    }
}
