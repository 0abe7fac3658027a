//! What Python hands to the stop classes, checked and converted; what goes back, wrapped. Every
//! message is the reference's to the letter.

use std::fmt;

use numpy::{PyArray1, PyArrayMethods, PyUntypedArray};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use super::errors::{knob_error, type_error};
use crate::stop::{Kind, Output, Piece};

const ID_RULE: &str = "must be a token id in [0, 4294967295]";
const SURROGATE_RULE: &str = "must not hold a lone surrogate";

/// An argument, or an item of one; written out only for an error.
#[derive(Clone, Copy)]
pub struct Name(pub &'static str, pub Option<usize>, pub Option<usize>);

impl Name {
    pub const fn of(argument: &'static str) -> Self {
        Self(argument, None, None)
    }

    pub const fn at(self, index: usize) -> Self {
        match self {
            Self(argument, None, _) => Self(argument, Some(index), None),
            Self(argument, outer, _) => Self(argument, outer, Some(index)),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        self.1.into_iter().chain(self.2).try_for_each(|index| write!(f, "[{index}]"))
    }
}

/// An argument with a default; an explicit None is a value like any other.
pub enum Given<'py> {
    Default,
    Value(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = std::convert::Infallible;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Value(object.to_owned()))
    }
}

impl Given<'_> {
    pub fn flag(&self, name: &'static str, default: bool) -> PyResult<bool> {
        match self {
            Self::Default => Ok(default),
            Self::Value(value) => flag(value, Name::of(name)),
        }
    }
}

/// `KnobError("<name> <rule>, got <value>")`.
pub fn broken(name: Name, rule: &str, value: &Bound<'_, PyAny>) -> PyErr {
    match value.repr() {
        Ok(shown) => {
            let message = format!("{name} {rule}, got {}", shown.to_string_lossy());
            knob_error(value.py(), message, name.0, value)
        }
        Err(error) => error,
    }
}

/// `TypeError("<name> <rule>, got <value>")`.
pub fn wrong_type(name: Name, rule: &str, value: &Bound<'_, PyAny>) -> PyErr {
    match value.repr() {
        Ok(shown) => type_error(format!("{name} {rule}, got {}", shown.to_string_lossy())),
        Err(error) => error,
    }
}

/// A sequence has not one entry per row.
pub fn wrong_length(py: Python<'_>, name: &'static str, rows: usize, got: usize) -> PyErr {
    knob_error(py, format!("{name} must have one entry per row, {rows}, got {got}"), name, got)
}

/// A bool, Python's or NumPy's.
pub fn flag(value: &Bound<'_, PyAny>, name: Name) -> PyResult<bool> {
    value.extract().map_err(|_| wrong_type(name, "must be a bool", value))
}

/// Python's `operator.index`; None where it raises a TypeError.
pub fn index<'py>(value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static INDEX: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if value.is_instance_of::<PyInt>() {
        return Ok(Some(value.clone()));
    }
    match INDEX.import(value.py(), "operator", "index")?.call1((value,)) {
        Ok(index) => Ok(Some(index)),
        Err(error) if error.is_instance_of::<PyTypeError>(value.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An int in [0, limit), as `rule` says; a bool is not one.
pub fn int(value: &Bound<'_, PyAny>, name: Name, limit: usize, rule: &str) -> PyResult<usize> {
    let found = if value.is_instance_of::<pyo3::types::PyBool>() { None } else { index(value)? };
    let found = found.ok_or_else(|| wrong_type(name, "must be an int", value))?;
    found.extract().ok().filter(|int| *int < limit).ok_or_else(|| broken(name, rule, &found))
}

/// Several ints in [0, limit).
pub fn ints(values: &Bound<'_, PyAny>, name: Name, limit: usize) -> PyResult<Vec<usize>> {
    let rule = || format!("must be in [0, {limit})");
    if values.is_exact_instance_of::<PyUntypedArray>()
        && let Ok(array) = values.cast::<PyArray1<i64>>()
    {
        let convert = |(i, &value): (usize, &i64)| {
            usize::try_from(value).ok().filter(|int| *int < limit).ok_or_else(|| {
                let value = PyInt::new(values.py(), value);
                broken(name.at(i), &rule(), &value)
            })
        };
        if let Ok(values) = array.try_readonly()?.as_slice() {
            return values.iter().enumerate().map(convert).collect();
        }
    }
    items(values, name, "must be a sequence of ints")?
        .iter()
        .enumerate()
        .map(|(i, value)| int(value, name.at(i), limit, &rule()))
        .collect()
}

/// Anything with `__getitem__` but a dict, a str or bytes.
pub fn is_sequence(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let other = value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>()
        || value.is_instance_of::<PyDict>();
    Ok(!other && value.get_type().hasattr("__getitem__")?)
}

/// The items of a sequence.
pub fn items<'py>(values: &Bound<'py, PyAny>, name: Name, rule: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if is_sequence(values)? { values.try_iter()?.collect() } else { Err(wrong_type(name, rule, values)) }
}

/// A token id.
fn id(value: &Bound<'_, PyAny>, name: Name) -> PyResult<Option<u32>> {
    if value.is_instance_of::<pyo3::types::PyBool>() {
        return Err(broken(name, ID_RULE, value));
    }
    match index(value)? {
        None => Ok(None),
        Some(found) => match found.extract() {
            Ok(id) => Ok(Some(id)),
            Err(_) => Err(broken(name, ID_RULE, &found)),
        },
    }
}

/// A token id, or a sequence of them.
pub fn ids(value: &Bound<'_, PyAny>, name: Name) -> PyResult<Vec<u32>> {
    let list = value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>();
    if !list && let Some(id) = id(value, name)? {
        return Ok(vec![id]);
    }
    items(value, name, "must be a token id or a sequence of token ids for kind 'tokens'")?
        .iter()
        .enumerate()
        .map(|(i, item)| {
            let name = name.at(i);
            id(item, name)?.ok_or_else(|| wrong_type(name, "must be a token id", item))
        })
        .collect()
}

/// A str's UTF-8.
pub fn utf8<'a>(value: &'a Bound<'_, PyString>, name: Name) -> PyResult<&'a str> {
    value.to_str().map_err(|_| broken(name, SURROGATE_RULE, value))
}

/// A piece as Python gave it.
pub enum PyPiece<'a, 'py> {
    /// The str too, to be given back as it is.
    Text(&'a Bound<'py, PyString>, &'a str),
    Bytes(&'a [u8]),
    Ids(Vec<u32>),
}

impl<'a, 'py> PyPiece<'a, 'py> {
    /// Checked against the kind of the stops.
    pub fn new(value: &'a Bound<'py, PyAny>, kind: Kind, name: Name) -> PyResult<Self> {
        if kind == Kind::Tokens {
            return ids(value, name).map(Self::Ids);
        }
        if kind == Kind::Text
            && let Ok(text) = value.cast::<PyString>()
        {
            return Ok(Self::Text(text, utf8(text, name)?));
        }
        match value.cast::<PyBytes>() {
            Ok(bytes) => Ok(Self::Bytes(bytes.as_bytes())),
            Err(_) if kind == Kind::Text => {
                Err(wrong_type(name, "must be str or bytes for kind 'text'", value))
            }
            Err(_) => Err(wrong_type(name, "must be bytes for kind 'bytes'", value)),
        }
    }

    /// The str that came, where the output is all of it and it is of no subclass: an ordinary piece, mostly, which
    /// goes back as it is.
    pub fn same_as(&self, output: &Output<'_>) -> Option<Bound<'py, PyAny>> {
        match self {
            Self::Text(text, utf8)
                if !utf8.is_empty()
                    && output.is_all_of(self.piece())
                    && text.is_exact_instance_of::<PyString>() =>
            {
                Some((*text).clone().into_any())
            }
            _ => None,
        }
    }

    pub fn piece(&self) -> Piece<'_> {
        match self {
            Self::Text(_, text) => Piece::Bytes(text.as_bytes()),
            Self::Bytes(bytes) => Piece::Bytes(bytes),
            Self::Ids(ids) => Piece::Ids(ids),
        }
    }
}

/// Pieces one after the other, and where each ends.
pub struct Joined {
    bytes: Vec<u8>,
    ids: Vec<u32>,
    kind: Kind,
    pub ends: Vec<usize>,
}

/// Bytes that a piece has, roughly.
const BYTES: usize = 8;

impl Joined {
    /// The pieces of a sequence, each checked.
    pub fn new(values: &Bound<'_, PyAny>, kind: Kind) -> PyResult<Self> {
        let name = Name::of("pieces");
        let mut joined = Self { bytes: vec![], ids: vec![], kind, ends: vec![] };
        if let Ok(list) = values.cast_exact::<PyList>() {
            joined.reserve(list.len());
            for (i, value) in list.iter().enumerate() {
                joined.push(&PyPiece::new(&value, kind, name.at(i))?);
            }
        } else {
            let values = items(values, name, "must be a sequence of pieces")?;
            joined.reserve(values.len());
            for (i, value) in values.iter().enumerate() {
                joined.push(&PyPiece::new(value, kind, name.at(i))?);
            }
        }
        Ok(joined)
    }

    fn reserve(&mut self, pieces: usize) {
        self.ends.reserve(pieces);
        match self.kind {
            Kind::Tokens => self.ids.reserve(pieces),
            Kind::Text | Kind::Bytes => self.bytes.reserve(pieces * BYTES),
        }
    }

    fn push(&mut self, piece: &PyPiece<'_, '_>) {
        match piece.piece() {
            Piece::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
            Piece::Ids(ids) => self.ids.extend_from_slice(ids),
        }
        self.ends.push(self.bytes.len().max(self.ids.len()));
    }

    /// All of them.
    pub fn whole(&self) -> Piece<'_> {
        match self.kind {
            Kind::Tokens => Piece::Ids(&self.ids),
            Kind::Text | Kind::Bytes => Piece::Bytes(&self.bytes),
        }
    }
}

/// What a stream gave out, as str, bytes or a list of ints.
pub fn wrap<'py>(py: Python<'py>, output: Output<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match output {
        Output::Text(text) if text.is_empty() => pyo3::intern!(py, "").clone().into_any(),
        Output::Text(text) => PyString::new(py, &text).into_any(),
        Output::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
        Output::Ids(ids) => PyList::new(py, ids.iter())?.into_any(),
    })
}

/// An int of at least 0; one too large for memory counts as the largest.
pub fn at_least_zero(value: &Bound<'_, PyAny>, name: Name) -> PyResult<usize> {
    match int(value, name, usize::MAX, "must be >= 0") {
        Err(error) if value.gt(0).unwrap_or(false) && !error.is_instance_of::<PyTypeError>(value.py()) => {
            Ok(usize::MAX)
        }
        result => result,
    }
}
