//! Token ids from Python, checked against a vocabulary: one, or a sequence of them.
//!
//! NumPy's integers are read where they lie, lists item by item; whatever else gives integers goes through
//! Python's own `tolist` and `operator.index`.

use numpy::{Element, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyRange, PyTuple};

use super::errors::{knob_error, type_error};
use super::knobs::type_name;
use super::stop_input::index;

/// Whether it is a list, a tuple, a range or an array of at least one dimension.
pub fn is_sequence(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
        return Ok(false);
    }
    if value.is_instance_of::<PyList>()
        || value.is_instance_of::<PyTuple>()
        || value.is_instance_of::<PyRange>()
    {
        return Ok(true);
    }
    value.getattr_opt("ndim")?.map_or(Ok(false), |dimensions| dimensions.is_truthy())
}

/// Whether it is an array of integers that [`id_list`] reads where they lie.
pub fn is_flat_array(value: &Bound<'_, PyAny>) -> bool {
    plain_array::<i64>(value).is_some() || plain_array::<i32>(value).is_some()
}

/// An array of one dimension, of that type and of no subclass: a masked array's memory is not all it says.
fn plain_array<'py, T: Element>(value: &Bound<'py, PyAny>) -> Option<PyReadonlyArray1<'py, T>> {
    value.cast_exact::<PyUntypedArray>().ok()?.extract().ok()
}

/// The items of a sequence.
pub fn items<'py>(name: &str, value: &Bound<'py, PyAny>, wanted: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = value.cast_exact::<PyList>() {
        return Ok(list.iter().collect());
    }
    if !is_sequence(value)? {
        return Err(type_error(format!("{name} must be {wanted}, got {}", type_name(value))));
    }
    if value.hasattr("tolist")? {
        return value.call_method0("tolist")?.try_iter()?.collect();
    }
    value.try_iter()?.collect()
}

/// The same, where sequences are wanted: the rows of a matrix stay arrays, which are read faster than lists.
pub fn entries<'py>(name: &str, value: &Bound<'py, PyAny>, wanted: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let is_matrix = value.cast_exact::<PyUntypedArray>().is_ok_and(|array| array.ndim() == 2);
    if is_matrix { value.try_iter()?.collect() } else { items(name, value, wanted) }
}

/// A sequence of ids of the vocabulary.
pub fn id_list(name: &str, value: &Bound<'_, PyAny>, vocab: usize, wanted: &str) -> PyResult<Vec<u32>> {
    if let Some(ids) = of_array::<i64>(name, value, vocab) {
        return ids;
    }
    if let Some(ids) = of_array::<i32>(name, value, vocab) {
        return ids;
    }
    items(name, value, wanted)?.iter().map(|item| id(name, item, vocab, wanted)).collect()
}

/// The ids in an array of that type; None where it is no such array.
fn of_array<T: Element + Copy + Into<i64>>(
    name: &str,
    value: &Bound<'_, PyAny>,
    vocab: usize,
) -> Option<PyResult<Vec<u32>>> {
    let array = plain_array::<T>(value)?;
    let values = array.as_slice().ok()?; // what is no plain slice goes the slow way
    let id = |value: T| in_vocabulary(value.into(), vocab);
    let ids: Option<Vec<u32>> = values.iter().map(|value| id(*value)).collect();
    Some(ids.ok_or_else(|| {
        let bad = values.iter().copied().map(Into::into).find(|id| in_vocabulary(*id, vocab).is_none());
        outside(name, PyInt::new(value.py(), bad.unwrap_or(-1)).as_any(), vocab)
    }))
}

fn in_vocabulary(id: i64, vocab: usize) -> Option<u32> {
    usize::try_from(id).ok().filter(|id| *id < vocab).map(|id| id as u32)
}

fn outside(name: &str, id: &Bound<'_, PyAny>, vocab: usize) -> PyErr {
    match id.repr() {
        Ok(shown) => {
            let message = format!("{name} must hold token ids in [0, {vocab}), got {shown}");
            knob_error(id.py(), message, name, id)
        }
        Err(error) => error,
    }
}

/// One id of the vocabulary.
pub fn id(name: &str, value: &Bound<'_, PyAny>, vocab: usize, wanted: &str) -> PyResult<u32> {
    let found = if is_bool(value)? { None } else { index(value)? };
    let Some(found) = found else {
        return Err(type_error(format!("{name} must be {wanted}, got {} in it", type_name(value))));
    };
    let id = found.extract::<i64>().ok().and_then(|id| in_vocabulary(id, vocab));
    id.ok_or_else(|| outside(name, &found, vocab))
}

/// Python's bool or NumPy's.
fn is_bool(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if value.is_instance_of::<PyInt>() {
        return Ok(value.is_instance_of::<PyBool>());
    }
    value.is_instance(CLASS.import(value.py(), "numpy", "bool_")?)
}

/// A sequence of at least one id.
pub fn word(name: &str, value: &Bound<'_, PyAny>, vocab: usize, wanted: &str) -> PyResult<Vec<u32>> {
    if !is_sequence(value)? {
        return Err(type_error(format!("{name} must be {wanted}, got {} in it", type_name(value))));
    }
    let word = id_list(name, value, vocab, wanted)?;
    if word.is_empty() {
        let message = format!("{name} must hold sequences of at least one token id, got ()");
        return Err(knob_error(value.py(), message, name, PyTuple::empty(value.py())));
    }
    Ok(word)
}
