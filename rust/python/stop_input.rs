//! What Python hands to the stop classes, checked and converted; what goes back, wrapped. Every
//! message is the reference's to the letter.

use std::fmt;

use numpy::{PyArray1, PyArrayMethods, PyUntypedArray};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use super::errors::{knob_error, type_error};

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
        let fits = |value: &i64| usize::try_from(*value).is_ok_and(|int| int < limit);
        if let Ok(values) = array.try_readonly()?.as_slice() {
            return match values.iter().position(|value| !fits(value)) {
                None => Ok(values.iter().map(|value| *value as usize).collect()),
                Some(i) => Err(broken(name.at(i), &rule(), &PyInt::new(array.py(), values[i]))),
            };
        }
    }
    let rule = rule();
    items(values, name, "must be a sequence of ints")?
        .iter()
        .enumerate()
        .map(|(i, value)| int(value, name.at(i), limit, &rule))
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

/// An int of at least 0; one too large for memory counts as the largest.
pub fn at_least_zero(value: &Bound<'_, PyAny>, name: Name) -> PyResult<usize> {
    match int(value, name, usize::MAX, "must be >= 0") {
        Err(error) if value.gt(0).unwrap_or(false) && !error.is_instance_of::<PyTypeError>(value.py()) => {
            Ok(usize::MAX)
        }
        result => result,
    }
}

/// Whether stops count: for every piece, or for each.
pub enum Armed {
    All(bool),
    Each(Vec<bool>),
}

impl Armed {
    /// For so many pieces; None means yes, a bool goes for all.
    pub fn new(armed: Option<&Bound<'_, PyAny>>, count: usize) -> PyResult<Self> {
        let Some(armed) = armed else { return Ok(Self::All(true)) };
        let name = Name::of("armed");
        if let Ok(all) = flag(armed, name) {
            return Ok(Self::All(all));
        }
        let given = items(armed, name, "must be a bool or a sequence of bools")?;
        if given.len() != count {
            return Err(wrong_length(armed.py(), "armed", count, given.len()));
        }
        Ok(Self::Each(
            given.iter().enumerate().map(|(i, value)| flag(value, name.at(i))).collect::<PyResult<_>>()?,
        ))
    }

    pub fn at(&self, place: usize) -> bool {
        match self {
            Self::All(armed) => *armed,
            Self::Each(armed) => armed[place],
        }
    }
}
