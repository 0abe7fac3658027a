//! The sequences of a batch and their handles.

use std::collections::{BTreeMap, HashSet};

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyTuple};

use super::errors::{knob_error, type_error};
use super::ids::items;
use super::knobs::type_name;
use super::slot::Slot;
use super::stop_input::index;

/// The sequences by their handles, which grow: their order is that of addition.
#[derive(Default)]
pub struct Sequences {
    pub slots: BTreeMap<u64, Slot>,
    pub next: u64,
}

/// A handle, or an item of several, that is an int.
pub fn handle_in(name: &str, value: &Bound<'_, PyAny>, wanted: &str) -> PyResult<u64> {
    let integer = if value.is_instance_of::<PyBool>() { None } else { index(value)? };
    let Some(integer) = integer else {
        return Err(type_error(format!("{name} must be {wanted}, got {}", type_name(value))));
    };
    // Out of range is no handle, like any other that is not in use; u64::MAX is never reached: see `MOST`.
    Ok(integer.extract().unwrap_or(u64::MAX))
}

pub fn stranger(py: Python<'_>, name: &str, handle: &Bound<'_, PyAny>) -> PyErr {
    knob_error(py, format!("{name} must be of a sequence in this batch, got {handle}"), name, handle)
}

/// The next handle is below this in every state that is taken. As many sequences are never added, in one batch or
/// one copy after another: so handles never come to their end, where they would begin anew.
const MOST: u64 = 1 << 63;

/// A sequence in the state of a batch: its handle, its params, its snapshot.
pub type SavedSequence<'py> = (u64, Bound<'py, PyAny>, Bound<'py, PyAny>);

/// What a batch was pickled as.
pub struct SavedBatch<'py> {
    pub law: Bound<'py, PyAny>,
    pub next: u64,
    pub sequences: Vec<SavedSequence<'py>>,
}

/// (LAW, the next handle, (handle, params, snapshot) of each sequence), the handles ascending: tuples and ints alone,
/// as `BatchSampler.__getstate__` gives them. The law is not looked at.
pub fn saved_batch<'py>(state: &Bound<'py, PyAny>) -> Option<SavedBatch<'py>> {
    let handle =
        |value: Bound<'py, PyAny>| value.is_exact_instance_of::<PyInt>().then(|| value.extract().ok())?;
    let one = |item: Bound<'py, PyAny>| {
        let [key, params, saved] = fields(&item)?;
        Some((handle(key)?, params, saved))
    };
    let [law, next, all] = fields(state)?;
    let (next, sequences) =
        (handle(next)?, all.cast::<PyTuple>().ok()?.iter().map(one).collect::<Option<Vec<_>>>()?);
    let keys = sequences.iter().map(|(key, ..)| *key).chain([next]);
    (keys.is_sorted_by(|a, b| a < b) && next < MOST).then_some(SavedBatch { law, next, sequences })
}

/// The items of a tuple of so many.
fn fields<'py, const N: usize>(tuple: &Bound<'py, PyAny>) -> Option<[Bound<'py, PyAny>; N]> {
    tuple.cast::<PyTuple>().ok()?.iter().collect::<Vec<_>>().try_into().ok()
}

/// The handles as given, one for each row.
pub fn given_handles<'py>(
    handles: &Bound<'py, PyAny>,
    rows: usize,
) -> PyResult<Vec<(u64, Bound<'py, PyAny>)>> {
    let wanted = "a sequence of handles";
    let one = |item: Bound<'py, PyAny>| Ok((handle_in("handles", &item, "a sequence of integers")?, item));
    let given: Vec<_> = items("handles", handles, wanted)?.into_iter().map(one).collect::<PyResult<_>>()?;
    if given.len() == rows {
        return Ok(given);
    }
    let message = format!("handles must have one entry for each of {rows} rows, got {}", given.len());
    Err(knob_error(handles.py(), message, "handles", given.len()))
}

/// The sequences of the rows: those named, each once, or all.
pub fn named(
    sequences: &Sequences,
    handles: Option<&[(u64, Bound<'_, PyAny>)]>,
    rows: usize,
    py: Python<'_>,
) -> PyResult<Vec<u64>> {
    let Some(handles) = handles else {
        let count = sequences.slots.len();
        if count == rows {
            return Ok(sequences.slots.keys().copied().collect());
        }
        let message = format!("logits must have one row for each of {count} sequences, got {rows}");
        return Err(knob_error(py, message, "logits", rows));
    };
    let mut seen = HashSet::with_capacity(handles.len());
    for (key, given) in handles {
        if !sequences.slots.contains_key(key) {
            return Err(stranger(py, "handles", given));
        }
        if !seen.insert(*key) {
            let message = format!("handles must name each sequence once, got {key} twice");
            return Err(knob_error(py, message, "handles", *key));
        }
    }
    Ok(handles.iter().map(|(key, _)| *key).collect())
}
