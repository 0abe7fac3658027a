//! A step of a batch: what is given beside the logits, checked, and what it gives.

use numpy::PyArray1;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

use super::arrays::Logits;
use super::call::{Failure, map_some};
use super::errors::{is_ours, knob_error};
use super::knobs::Given;
use super::slot::Slot;
use super::token;
use crate::adjust::Shaped;
use crate::report::Drawn;
use crate::scratch::Scratch;
use crate::simd;

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
    draw: impl Fn(usize, simd::Logits<'_>, &mut Shaped, &mut Scratch) -> Result<Drawn, Failure> + Sync,
) -> PyResult<Vec<Result<Drawn, Failure>>> {
    let (calling, quiet): (Vec<usize>, Vec<usize>) = (0..slots.len()).partition(|at| slots[*at].calls());
    let mut results: Vec<Result<Drawn, Failure>> = if calling.is_empty() {
        map_some(py, logits, quiet, 0, false, &draw)?
    } else {
        let mut results: Vec<Option<_>> = slots.iter().map(|_| None).collect();
        let drawn: Vec<_> = map_some(py, logits, quiet.clone(), 0, false, &draw)?;
        quiet.into_iter().zip(drawn).for_each(|(at, result)| results[at] = Some(result));
        let raised = results.iter().position(|result| !marks && matches!(result, Some(Err(_))));
        for at in calling.into_iter().take_while(|at| raised.is_none_or(|raised| *at < raised)) {
            let drawn: Vec<_> = map_some(py, logits, vec![at], 0, true, &draw)?;
            for result in drawn {
                match result {
                    Err(failure) if !marks || !failure.is_of_the_row(py) => {
                        return Err(failure.into_python(py));
                    }
                    result => results[at] = Some(result),
                }
            }
        }
        results.into_iter().flatten().collect()
    };
    match results.iter().position(|result| !marks && result.is_err()).map(|at| results.swap_remove(at)) {
        Some(Err(failure)) => Err(failure.into_python(py)),
        _ => Ok(results),
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

/// Whether bad rows are marked.
pub fn marks(on_bad_row: &Given<'_>) -> PyResult<bool> {
    let Some(given) = &on_bad_row.0 else { return Ok(false) };
    let text = given.cast::<PyString>().ok().map(PyStringMethods::to_cow).transpose()?;
    match text.as_deref() {
        Some("raise") => Ok(false),
        Some("mark") => Ok(true),
        _ => {
            let message = format!("on_bad_row must be 'raise' or 'mark', got {}", given.repr()?);
            Err(knob_error(given.py(), message, "on_bad_row", given))
        }
    }
}

/// `rheostat.results.Tokens(ids, tokens, reasons, kept)`.
pub fn tokens(
    py: Python<'_>,
    mut results: Vec<Result<Drawn, Failure>>,
    tells_kept: bool,
) -> PyResult<Bound<'_, PyAny>> {
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
