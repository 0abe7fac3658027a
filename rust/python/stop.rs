//! `StopSet` and `StopMatcher`: check, call, wrap.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};

use super::errors::to_python;
use super::stop_batch::PyStopBatch;
use super::stop_input::{Given, Name, PyPiece, broken, ids, items, pieces, utf8, wrap, wrong_type};
use super::stop_state;
use crate::error::Error;
use crate::stop::{Hit, Kind, Output, Piece, Row, StopSet, Tie};

/// A lock that a panic elsewhere cannot spoil: nothing under it panics, and a row is always whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Stop sequences, compiled once and shared by any number of streams.
///
/// ``stops``: a sequence of str (matched on their UTF-8 bytes, exactly), of bytes, or of token ids and
/// sequences of token ids; duplicates are allowed. ``kind`` is ``"text"``, ``"bytes"`` or
/// ``"tokens"``; it is needed only for ``[]``, which stops nothing (default: text). The stop that
/// *ends* first wins. Of several that end at the same place the one listed first wins, with
/// ``tie="longest"`` the longest. ``include=True`` leaves the stop in the output.
///
/// Immutable, hashable, picklable, safe to share between threads. Raises TypeError for a wrong or
/// mixed kind, KnobError for an empty stop, a lone surrogate, an id outside [0, 4294967295] or more than
/// 1048576 bytes or ids in all.
///
/// >>> from rheostat import StopSet
/// >>> stops = StopSet(["\nUser:", "<|im_end|>"])
/// >>> stops.find("Hi.\nUser: you?")
/// StopHit(index=0, stop='\nUser:', start=3, end=9, discarded=5)
#[pyclass(frozen, module = "rheostat", name = "StopSet")]
pub struct PyStopSet {
    pub core: Arc<StopSet>,
    stops: Py<PyTuple>,
}

/// The kind that the first stop is of.
fn infer(first: &Bound<'_, PyAny>) -> PyResult<Kind> {
    if first.is_instance_of::<PyString>() {
        Ok(Kind::Text)
    } else if first.is_instance_of::<PyBytes>() {
        Ok(Kind::Bytes)
    } else {
        ids(first, Name::of("stops").at(0)).map(|_| Kind::Tokens).map_err(|error| {
            let name = Name::of("stops").at(0);
            let rule = "must be str, bytes, a token id or a sequence of token ids";
            let wrong = error.is_instance_of::<pyo3::exceptions::PyTypeError>(first.py());
            // A sequence that holds something else has an error of its own.
            if wrong && items(first, name, rule).is_err() { wrong_type(name, rule, first) } else { error }
        })
    }
}

/// Bytes of every stop, for text and bytes.
fn encoded(stops: &[Bound<'_, PyAny>], kind: Kind) -> PyResult<Vec<Box<[u8]>>> {
    let convert = |(i, stop): (usize, &Bound<'_, PyAny>)| {
        let name = Name::of("stops").at(i);
        if kind == Kind::Text {
            let text = stop.cast::<PyString>();
            let text = text.map_err(|_| wrong_type(name, "must be str for kind 'text'", stop))?;
            Ok(utf8(text, name)?.as_bytes().into())
        } else {
            let bytes = stop.cast::<PyBytes>();
            let bytes = bytes.map_err(|_| wrong_type(name, "must be bytes for kind 'bytes'", stop))?;
            Ok(bytes.as_bytes().into())
        }
    };
    stops.iter().enumerate().map(convert).collect()
}

fn named<'py, T: Copy>(
    value: &Bound<'py, PyAny>,
    name: Name,
    rule: &str,
    names: &[(&str, T)],
) -> PyResult<T> {
    let Ok(text) = value.cast::<PyString>() else { return Err(wrong_type(name, rule, value)) };
    let known = names.iter().find(|(name, _)| text.to_str().is_ok_and(|text| text == *name));
    known.map(|(_, known)| *known).ok_or_else(|| broken(name, rule, value))
}

/// `rheostat.StopHit(index, stop, start, end, discarded)`.
fn wrap_hit<'py>(
    py: Python<'py>,
    stops: &Bound<'py, PyTuple>,
    hit: Option<Hit>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    hit.map(|Hit { index, start, end, discarded }| {
        let stop = stops.get_item(index)?;
        CLASS.import(py, "rheostat.stops", "StopHit")?.call1((index, stop, start, end, discarded))
    })
    .transpose()
}

/// The symbols held, as bytes or a list of ids.
fn wrap_held<'py>(py: Python<'py>, held: Piece<'_>) -> PyResult<Bound<'py, PyAny>> {
    match held {
        Piece::Bytes(bytes) => Ok(PyBytes::new(py, bytes).into_any()),
        Piece::Ids(ids) => Ok(PyList::new(py, ids)?.into_any()),
    }
}

#[pymethods]
impl PyStopSet {
    #[new]
    #[pyo3(
        signature = (stops, *, kind = None, tie = Given::Default, include = Given::Default),
        text_signature = "(stops, *, kind=None, tie='first', include=False)"
    )]
    fn new(
        py: Python<'_>,
        stops: &Bound<'_, PyAny>,
        kind: Option<&Bound<'_, PyAny>>,
        tie: Given<'_>,
        include: Given<'_>,
    ) -> PyResult<Self> {
        let given = items(stops, Name::of("stops"), "must be a sequence of stops")?;
        let kinds = [("text", Kind::Text), ("bytes", Kind::Bytes), ("tokens", Kind::Tokens)];
        let kind = match (kind, given.first()) {
            (Some(kind), _) => named(kind, Name::of("kind"), "must be 'text', 'bytes' or 'tokens'", &kinds)?,
            (None, Some(first)) => infer(first)?,
            (None, None) => Kind::Text,
        };
        let ties = [("first", Tie::First), ("longest", Tie::Longest)];
        let tie = match &tie {
            Given::Default => Tie::First,
            Given::Value(tie) => named(tie, Name::of("tie"), "must be 'first' or 'longest'", &ties)?,
        };
        let include = include.flag("include", false)?;
        let name = Name::of("stops");
        let (core, stops) = if kind == Kind::Tokens {
            let convert = |(i, stop)| ids(stop, name.at(i)).map(Vec::into_boxed_slice);
            let stops: Vec<_> = given.iter().enumerate().map(convert).collect::<PyResult<_>>()?;
            let tuples: Vec<_> = stops.iter().map(|stop| PyTuple::new(py, stop)).collect::<PyResult<_>>()?;
            (py.detach(|| StopSet::tokens(stops, tie, include)), PyTuple::new(py, tuples)?)
        } else {
            let stops = encoded(&given, kind)?;
            let copies: Vec<Bound<'_, PyAny>> = stops
                .iter()
                .map(|stop| match std::str::from_utf8(stop) {
                    Ok(text) if kind == Kind::Text => PyString::new(py, text).into_any(),
                    _ => PyBytes::new(py, stop).into_any(),
                })
                .collect();
            let compile = if kind == Kind::Text { StopSet::text } else { StopSet::bytes };
            (py.detach(|| compile(stops, tie, include)), PyTuple::new(py, copies)?)
        };
        let core = core.map_err(|error| match error {
            Error::EmptyStop { index } => broken(name.at(index), "must not be empty", &given[index]),
            error => to_python(py, &error),
        })?;
        Ok(Self { core: Arc::new(core), stops: stops.unbind() })
    }

    /// ``"text"``, ``"bytes"`` or ``"tokens"``.
    #[getter]
    fn kind(&self) -> &'static str {
        self.core.kind().name()
    }

    /// The stops in the given order: a tuple of str, of bytes or of tuples of ids.
    #[getter]
    fn stops(&self, py: Python<'_>) -> Py<PyTuple> {
        self.stops.clone_ref(py)
    }

    /// ``"first"`` or ``"longest"``: which stop wins of those that end at the same place.
    #[getter]
    fn tie(&self) -> &'static str {
        match self.core.tie() {
            Tie::First => "first",
            Tie::Longest => "longest",
        }
    }

    /// Whether the stop itself is part of the output.
    #[getter]
    fn include(&self) -> bool {
        self.core.include()
    }

    /// The length of the longest stop, in bytes or ids; 0 without stops.
    #[getter]
    fn max_len(&self) -> usize {
        self.core.max_len()
    }

    /// The indices of the stops that can never win, because another always ends before them or wins
    /// the tie against them.
    ///
    /// >>> from rheostat import StopSet
    /// >>> StopSet(["ab", "abcd"]).unreachable
    /// (1,)
    #[getter]
    fn unreachable<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.core.unreachable())
    }

    /// Memory of the compiled set, in bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.core.nbytes()
    }

    /// The StopHit in a whole text (str, bytes or ids, as the kind says), or None.
    ///
    /// >>> from rheostat import StopSet
    /// >>> StopSet([[13, 13], 2]).find([5, 13, 13, 7])
    /// StopHit(index=0, stop=(13, 13), start=1, end=3, discarded=1)
    fn find<'py>(&self, py: Python<'py>, whole: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let given = PyPiece::new(whole, self.core.kind(), Name::of("whole"))?;
        let piece = given.piece();
        let hit = py.detach(|| self.core.find(piece));
        wrap_hit(py, self.stops.bind(py), hit)
    }

    /// A StopMatcher at the beginning of a stream.
    fn matcher(slf: Py<Self>) -> PyStopMatcher {
        PyStopMatcher::new(slf)
    }

    /// A StopBatch of n rows that all end at these stops.
    fn batch(slf: Bound<'_, Self>, n: &Bound<'_, PyAny>) -> PyResult<PyStopBatch> {
        PyStopBatch::new(slf.as_any(), n)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = other.py();
        match other.cast::<Self>() {
            Ok(other) => (*self.core == *other.get().core).into_py_any(py),
            Err(_) => Ok(py.NotImplemented()),
        }
    }

    fn __hash__(&self) -> u64 {
        self.core.fingerprint()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (stops, kind, tie) = (self.stops.bind(py).repr()?, self.kind(), self.tie());
        let include = if self.include() { "True" } else { "False" };
        Ok(format!("StopSet({stops}, kind='{kind}', tie='{tie}', include={include})"))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Py<PyTuple>,))> {
        let (py, this) = (slf.py(), slf.get());
        let knobs = PyDict::new(py);
        knobs.set_item("kind", this.kind())?;
        knobs.set_item("tie", this.tie())?;
        knobs.set_item("include", this.include())?;
        let make = py.import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&knobs))?;
        Ok((make, (this.stops(py),)))
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
    row: Mutex<Row>,
}

impl PyStopMatcher {
    fn row(&self) -> Row {
        *lock(&self.row)
    }

    fn core(&self) -> &StopSet {
        &self.set.get().core
    }
}

#[pymethods]
impl PyStopMatcher {
    #[new]
    fn new(stop_set: Py<PyStopSet>) -> Self {
        Self { set: stop_set, row: Mutex::default() }
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
        let output = self.core().feed(&mut lock(&self.row), given.piece(), armed);
        match (output, &given) {
            // All of an ordinary piece is safe, mostly: it goes back as it came.
            (Ok(Output::Text(text)), PyPiece::Text(whole, utf8))
                if !utf8.is_empty() && std::ptr::eq(&raw const *text, *utf8) && is_exact(whole) =>
            {
                Ok(piece.clone())
            }
            (Ok(output), _) => wrap(py, output),
            (Err(error), _) => Err(to_python(py, &error)),
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
        let given = items(pieces, Name::of("pieces"), "must be a sequence of pieces")?;
        let given = self::pieces(&given, self.core().kind())?;
        let given: Vec<_> = given.iter().map(PyPiece::piece).collect();
        let armed_from = match &armed_from {
            Given::Default => 0,
            Given::Value(value) => super::stop_input::at_least_zero(value, Name::of("armed_from"))?,
        };
        let fed = self.core().feed_many(&mut lock(&self.row), &given, armed_from);
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
        let output = self.core().flush(&mut lock(&self.row));
        wrap(py, output)
    }

    /// The StopHit that ended the stream, or None.
    #[getter]
    fn hit<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        wrap_hit(py, self.set.get().stops.bind(py), self.core().hit(&self.row()))
    }

    /// What the stop rule holds back: bytes for text and bytes, a list of ids for tokens. Always the
    /// beginning of a stop; an unfinished character is not part of it.
    #[getter]
    fn held<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        wrap_held(py, self.core().held(&self.row()))
    }

    /// How many bytes or ids were read, up to the end of the stop if there was one.
    #[getter]
    fn fed(&self) -> u64 {
        self.row().fed()
    }

    /// How many bytes or ids were given out; without a hit ``fed - len(held)``. The first bytes of an
    /// unfinished character count as given out.
    #[getter]
    fn emitted(&self) -> u64 {
        self.core().emitted(&self.row())
    }

    /// Starts a new stream.
    fn reset(&self) {
        *lock(&self.row) = Row::default();
    }

    /// An independent matcher in the same state: a snapshot to go back to.
    fn clone(&self, py: Python<'_>) -> Self {
        Self { set: self.set.clone_ref(py), row: Mutex::new(self.row()) }
    }

    /// The state as a tuple of plain values, for any process and for the reference.
    fn __getstate__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        stop_state::to_tuple(py, self.core(), &self.row())
    }

    /// Takes over a state from __getstate__. Raises KnobError if it is malformed or comes from another
    /// StopSet.
    fn __setstate__(&self, state: &Bound<'_, PyAny>) -> PyResult<()> {
        let row = stop_state::from_tuple(self.core(), state)?;
        *lock(&self.row) = row;
        Ok(())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        (slf.get_type(), (this.set.clone_ref(py),), this.__getstate__(py)?).into_bound_py_any(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let row = self.row();
        let held = wrap_held(py, self.core().held(&row))?.repr()?;
        let hit = wrap_hit(py, self.set.get().stops.bind(py), self.core().hit(&row))?;
        let hit = hit.map_or(Ok("None".to_owned()), |hit| hit.repr().map(|hit| hit.to_string()))?;
        Ok(format!("StopMatcher(fed={}, held={held}, hit={hit})", row.fed()))
    }
}

/// A str itself and not of a subclass.
fn is_exact(text: &Bound<'_, PyString>) -> bool {
    text.is_exact_instance_of::<PyString>()
}

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyStopSet>()?;
    module.add_class::<PyStopMatcher>()
}
