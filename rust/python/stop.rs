//! `StopSet`: check, call, wrap.

use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};

use super::errors::to_python;
use super::stop_batch::PyStopBatch;
use super::stop_input::{Given, Name, broken, ids, index, is_sequence, items, utf8, wrong_type};
use super::stop_matcher::PyStopMatcher;
use super::stop_piece::PyPiece;
use crate::error::Error;
use crate::law::LAW;
use crate::stop::{Hit, Kind, StopSet, Tie};

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
    pub stops: Py<PyTuple>,
}

/// The kind that the first stop is of.
fn infer(first: &Bound<'_, PyAny>) -> PyResult<Kind> {
    if first.is_instance_of::<PyString>() {
        Ok(Kind::Text)
    } else if first.is_instance_of::<PyBytes>() {
        Ok(Kind::Bytes)
    } else if is_sequence(first)? || index(first)?.is_some() {
        Ok(Kind::Tokens)
    } else {
        let rule = "must be str, bytes, a token id or a sequence of token ids";
        Err(wrong_type(Name::of("stops").at(0), rule, first))
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

fn named<T: Copy>(value: &Bound<'_, PyAny>, name: Name, rule: &str, names: &[(&str, T)]) -> PyResult<T> {
    let Ok(text) = value.cast::<PyString>() else { return Err(wrong_type(name, rule, value)) };
    let known = names.iter().find(|(name, _)| text.to_str().is_ok_and(|text| text == *name));
    known.map(|(_, known)| *known).ok_or_else(|| broken(name, rule, value))
}

/// `rheostat.StopHit(index, stop, start, end, discarded)`.
pub fn wrap_hit<'py>(
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

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let restored = py.import("rheostat.stops")?.getattr("restored")?;
        let arguments = (slf.get_type(), LAW, this.stops(py), this.kind(), this.tie(), this.include());
        (restored, arguments).into_bound_py_any(py)
    }
}

/// Adds the stop classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyStopSet>()?;
    module.add_class::<PyStopMatcher>()?;
    module.add_class::<PyStopBatch>()
}
