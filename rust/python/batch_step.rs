//! A step of a batch: what is given beside the logits, checked, and what it gives.

use numpy::PyArray1;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyInt, PyString, PyTuple, PyType};

use super::arrays::Logits;
use super::call::{Failure, map_some};
use super::errors::{is_ours, knob_error, type_error};
use super::knobs::{Given, type_name};
use super::lists::items;
use super::slot::Slot;
use super::stop_input::index;
use super::token;
use crate::report::Drawn;
use crate::scratch::Scratch;

/// What each row gives, its failures to be marked; the failure of the lowest row that has one which is not. Those
/// are all where bad rows are not marked, else what a callable has raised that is no fault of its row.
///
/// The rows whose chains call Python come last and on this thread, with the GIL: the others do not wait for them.
/// The lowest failure is the same as if all were drawn in order, and so is what the callables see: none is asked
/// for a row behind it.
pub fn draw_rows(
    py: Python<'_>,
    logits: &Logits<'_>,
    slots: &[&Slot],
    marks: bool,
    draw: impl Fn(usize, &[f32], &mut Vec<f32>, &mut Scratch) -> Result<Drawn, Failure> + Sync,
) -> PyResult<Vec<Result<Drawn, Failure>>> {
    let (calling, quiet): (Vec<usize>, Vec<usize>) = (0..slots.len()).partition(|at| slots[*at].calls());
    let mut results: Vec<Option<Result<Drawn, Failure>>> = slots.iter().map(|_| None).collect();
    let drawn: Vec<_> = map_some(py, logits, quiet.clone(), 0, false, &draw)?;
    quiet.into_iter().zip(drawn).for_each(|(at, result)| results[at] = Some(result));
    let raised = results.iter().position(|result| !marks && matches!(result, Some(Err(_))));
    for at in calling.into_iter().take_while(|at| raised.is_none_or(|raised| *at < raised)) {
        let drawn: Vec<_> = map_some(py, logits, vec![at], 0, true, &draw)?;
        for result in drawn {
            match result {
                Err(failure) if !marks || !failure.is_of_the_row(py) => return Err(failure.into_python(py)),
                result => results[at] = Some(result),
            }
        }
    }
    let all = results.into_iter().flatten();
    if marks {
        Ok(all.collect())
    } else {
        all.map(|row| row.map(Ok).map_err(|f| f.into_python(py))).collect()
    }
}

impl Failure {
    /// Whether it is about the row, so that a marked row can have it: a callable of the chain may say so as well.
    fn is_of_the_row(&self, py: Python<'_>) -> bool {
        match self {
            Self::Law(_) => true,
            Self::Python(error) => is_ours(py, error),
        }
    }

    /// Tells of what a callable has raised in a batch where it was.
    pub fn noted(self, row: usize, handle: u64) -> Self {
        if let Self::Python(error) = &self {
            Python::attach(|py| {
                let note = format!("in row {row}, of the sequence with handle {handle}");
                // what cannot be noted is raised without
                let _ = error.value(py).call_method1(intern!(py, "add_note"), (note,));
            });
        }
        self
    }
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

/// (the next handle, (handle, params, snapshot) of each sequence), the handles ascending: tuples and ints alone, as
/// `BatchSampler.__getstate__` gives them.
pub fn saved_sequences<'py>(state: &Bound<'py, PyAny>) -> Option<(u64, Vec<SavedSequence<'py>>)> {
    let handle =
        |value: Bound<'py, PyAny>| value.is_exact_instance_of::<PyInt>().then(|| value.extract().ok())?;
    let one = |item: Bound<'py, PyAny>| {
        let [key, params, saved] = fields(&item)?;
        Some((handle(key)?, params, saved))
    };
    let [next, all] = fields(state)?;
    let (next, all) =
        (handle(next)?, all.cast::<PyTuple>().ok()?.iter().map(one).collect::<Option<Vec<_>>>()?);
    let keys = all.iter().map(|(key, ..)| *key).chain([next]);
    (keys.is_sorted_by(|a, b| a < b) && next < MOST).then_some((next, all))
}

/// The items of a tuple of so many.
fn fields<'py, const N: usize>(tuple: &Bound<'py, PyAny>) -> Option<[Bound<'py, PyAny>; N]> {
    tuple.cast::<PyTuple>().ok()?.iter().collect::<Vec<_>>().try_into().ok()
}

/// Whether bad rows are marked.
pub fn marks(on_bad_row: &Given<'_>) -> PyResult<bool> {
    let Some(given) = &on_bad_row.0 else { return Ok(false) };
    let text = given.cast::<PyString>().ok().map(|text| text.to_cow()).transpose()?;
    match text.as_deref() {
        Some("raise") => Ok(false),
        Some("mark") => Ok(true),
        _ => {
            let message = format!("on_bad_row must be 'raise' or 'mark', got {}", given.repr()?);
            Err(knob_error(given.py(), message, "on_bad_row", given))
        }
    }
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

/// `rheostat.results.Tokens(ids, tokens, reasons, kept)`.
pub fn tokens<'py>(
    py: Python<'py>,
    mut results: Vec<Result<Drawn, Failure>>,
    tells_kept: bool,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let id = |result: &Result<Drawn, Failure>| result.as_ref().map_or(-1, |drawn| i64::from(drawn.id));
    let ids = PyArray1::from_iter(py, results.iter().map(id));
    let kept = if tells_kept {
        let mut sets = vec![];
        let mut indptr = vec![0_i64];
        for result in &mut results {
            let set = result.as_mut().ok().and_then(|drawn| drawn.kept.take());
            sets.extend(set.into_iter().flatten().map(i64::from));
            indptr.push(sets.len() as i64);
        }
        Some((PyArray1::from_vec(py, indptr), PyArray1::from_vec(py, sets)))
    } else {
        None
    };
    let (mut tokens, mut reasons) = (Vec::with_capacity(results.len()), Vec::with_capacity(results.len()));
    for result in results {
        let (token, reason) = match result {
            Ok(drawn) => (token::wrap(py, drawn)?, None),
            Err(failure) => (token::none(py)?, Some(failure.into_python(py).value(py).str()?)),
        };
        tokens.push(token);
        reasons.push(reason);
    }
    let class = CLASS.import(py, "rheostat.results", "Tokens")?;
    class.call1((ids, PyTuple::new(py, tokens)?, PyTuple::new(py, reasons)?, kept))
}
