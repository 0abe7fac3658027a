//! `StopMatcher`: check, call under the lock, wrap after it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::errors::to_python;
use super::stop::{PyStopSet, wrap_hit};
use super::stop_input::{Given, Name, at_least_zero, wrong_type};
use super::stop_piece::{Joined, PyPiece, wrap};
use super::stop_state;
use crate::stop::{Piece, StopSet, Stream};

/// The lock; no Python runs under it, so it cannot deadlock. A stream is whole at every moment, so a
/// poisoned lock means nothing.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The symbols held, as bytes or a list of ids.
fn wrap_held<'py>(py: Python<'py>, held: Piece<'_>) -> PyResult<Bound<'py, PyAny>> {
    match held {
        Piece::Bytes(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Piece::Ids(ids) => Ok(PyList::new(py, ids)?.into_any()),
    }
}

/// One stream of text, bytes or token ids that ends at the first stop of a StopSet.
///
/// Feed it piece by piece; each call gives what is now certain not to belong to a stop. Nothing of
/// a stop leaks, and nothing else is withheld: what is held is exactly what a stop could still
/// claim. How the stream is cut into pieces changes nothing but the moment. Copies and pickles carry
/// the whole state; use from several threads is serialised.
///
/// >>> from rheostat import StopSet
/// >>> matcher = StopSet(["STOP"]).matcher()
/// >>> [matcher.feed(piece) for piece in ("Hello S", "un, S", "TOP!")]
/// ['Hello ', 'Sun, ', '']
/// >>> matcher.hit
/// StopHit(index=0, stop='STOP', start=11, end=15, discarded=1)
#[pyclass(frozen, module = "rheostat", name = "StopMatcher")]
pub struct PyStopMatcher {
    set: Py<PyStopSet>,
    stream: Mutex<Stream>,
}

impl PyStopMatcher {
    pub fn new(set: Py<PyStopSet>) -> Self {
        Self { set, stream: Mutex::default() }
    }

    fn stream(&self) -> Stream {
        *lock(&self.stream)
    }

    fn core(&self) -> &StopSet {
        &self.set.get().core
    }
}

#[pymethods]
impl PyStopMatcher {
    #[new]
    fn start(stop_set: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = Name::of("stop_set");
        let set =
            stop_set.cast::<PyStopSet>().map_err(|_| wrong_type(name, "must be a StopSet", stop_set))?;
        Ok(Self::new(set.clone().unbind()))
    }

    /// Reads a piece, returns what is newly safe: a str, bytes or a list of ids, often empty.
    ///
    /// ``piece``: str or bytes for kind text, bytes for bytes, an id or a sequence of ids for tokens.
    /// ``armed=False`` ignores stops that end in this piece (min_tokens); once armed, always armed.
    /// After a hit every piece is ignored. Raises TypeError for a wrong piece, ValueError after
    /// flush, KnobError for ``armed=False`` after True; then nothing has changed.
    ///
    /// >>> from rheostat import StopSet
    /// >>> matcher = StopSet(["\n\n"]).matcher()
    /// >>> matcher.feed("one\n"), matcher.feed("two")
    /// ('one', '\ntwo')
    #[pyo3(signature = (piece, armed = Given::Default), text_signature = "($self, piece, armed=True)")]
    fn feed<'py>(
        &self,
        py: Python<'py>,
        piece: &Bound<'py, PyAny>,
        armed: Given<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let given = PyPiece::new(piece, self.core().kind(), Name::of("piece"))?;
        let armed = armed.flag("armed", true)?;
        let output = self.core().feed(&mut lock(&self.stream), given.piece(), armed);
        match output {
            Ok(output) if given.is_plain_str() && output.is_all_of(given.piece()) => Ok(piece.clone()),
            Ok(output) => wrap(py, output),
            Err(error) => Err(to_python(py, &error)),
        }
    }

    /// Reads several pieces, returns (output, used): what is newly safe, and how many of the pieces
    /// count, up to the one that completes a stop. Pieces are armed from index ``armed_from`` on.
    ///
    /// After a hit ``used`` is 0. All pieces are checked first; errors as for feed.
    ///
    /// >>> from rheostat import StopSet
    /// >>> StopSet(["END"]).matcher().feed_many(["a", "E", "ND", "b"])
    /// ('a', 3)
    #[pyo3(
        signature = (pieces, armed_from = Given::Default),
        text_signature = "($self, pieces, armed_from=0)"
    )]
    fn feed_many<'py>(
        &self,
        py: Python<'py>,
        pieces: &Bound<'py, PyAny>,
        armed_from: Given<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, usize)> {
        let given = Joined::new(pieces, self.core().kind())?;
        let armed_from = match &armed_from {
            Given::Default => 0,
            Given::Value(value) => at_least_zero(value, Name::of("armed_from"))?,
        };
        let fed = self.core().feed_many(&mut lock(&self.stream), given.whole(), &given.ends, armed_from);
        let (output, used) = fed.map_err(|error| to_python(py, &error))?;
        Ok((wrap(py, output)?, used))
    }

    /// Ends the stream without a stop (EOS, length) and returns the rest: what was held, and U+FFFD
    /// for an unfinished character. Empty after a hit and the second time; then only reset() goes on.
    ///
    /// >>> from rheostat import StopSet
    /// >>> matcher = StopSet(["STOP"]).matcher()
    /// >>> matcher.feed("ST"), matcher.flush(), matcher.flush()
    /// ('', 'ST', '')
    fn flush<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let output = self.core().flush(&mut lock(&self.stream));
        wrap(py, output)
    }

    /// The StopHit that ended the stream, or None.
    #[getter]
    fn hit<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        wrap_hit(py, self.set.get().stops.bind(py), self.core().hit(&self.stream()))
    }

    /// What the stop rule holds back: bytes for text and bytes, a list of ids for tokens. Always the
    /// beginning of a stop; an unfinished character is not part of it.
    #[getter]
    fn held<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        wrap_held(py, self.core().held(&self.stream()))
    }

    /// How many bytes or ids were read, up to the end of the stop if there was one.
    #[getter]
    fn fed(&self) -> u64 {
        self.stream().fed()
    }

    /// How many bytes or ids were given out; without a hit ``fed - len(held)``. The first bytes of an
    /// unfinished character count as given out.
    #[getter]
    fn emitted(&self) -> u64 {
        self.core().emitted(&self.stream())
    }

    /// Starts a new stream.
    fn reset(&self) {
        *lock(&self.stream) = Stream::default();
    }

    /// An independent matcher in the same state: a snapshot to go back to.
    fn clone(&self, py: Python<'_>) -> Self {
        Self { set: self.set.clone_ref(py), stream: Mutex::new(self.stream()) }
    }

    /// The state as a tuple of plain values, for any process and for the reference.
    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        stop_state::to_tuple(py, self.core(), &self.stream())
    }

    /// Takes over a state from __getstate__. Raises KnobError if it is malformed or comes from another
    /// StopSet.
    fn __setstate__(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let stream = stop_state::from_tuple(self.core(), state)?;
        *lock(&self.stream) = stream;
        Ok(())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        (slf.get_type(), (this.set.clone_ref(py),), this.__getstate__(py)?).into_bound_py_any(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let stream = self.stream();
        let held = wrap_held(py, self.core().held(&stream))?.repr()?;
        let hit = wrap_hit(py, self.set.get().stops.bind(py), self.core().hit(&stream))?;
        let hit = hit.map_or(Ok("None".to_owned()), |hit| hit.repr().map(|hit| hit.to_string()))?;
        Ok(format!("StopMatcher(fed={}, held={held}, hit={hit})", stream.fed()))
    }
}
