//! What holds token ids: lists of ids, words, biases, histories; one for all rows or one per row. The
//! checks, their order and their words are those of `rheostat.reference.lists`.
//!
//! NumPy's integers are read where they lie, lists item by item; whatever else gives integers goes through
//! Python's own `tolist` and `operator.index`.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use numpy::{Element, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyRange, PyTuple};

use super::errors::{knob_error, to_python, type_error};
use super::knobs::{PerRow, Shape, number_of, type_name};
use super::stop_input::index;
use crate::knobs;
use crate::masks::Ids;
use crate::penalties::{BIAS, Biases, SequenceBiases};

const IDS: &str = "a sequence of token ids or one per row";

/// What ids are checked against: the rows, their width, and each row's vocabulary.
pub struct Bounds {
    pub shape: Shape,
    pub width: usize,
    pub vocab: PerRow<usize>,
}

impl<T: Clone> PerRow<T> {
    /// The row's value.
    pub fn of(&self, row: usize) -> T {
        match self {
            Self::One(value) => value.clone(),
            Self::Each(values) => values[row].clone(),
        }
    }
}

/// A value for every row; none where it is not given.
pub type Column<T> = PyResult<PerRow<Option<T>>>;

impl Bounds {
    /// What was given for all rows, in each row's vocabulary.
    fn for_all<T>(&self, of: impl Fn(usize) -> PyResult<T>) -> Column<T> {
        match &self.vocab {
            _ if self.shape.count == 0 => Ok(PerRow::One(None)),
            PerRow::One(vocab) => Ok(PerRow::One(Some(of(*vocab)?))),
            PerRow::Each(each) => {
                Ok(PerRow::Each(each.iter().map(|vocab| of(*vocab).map(Some)).collect::<PyResult<_>>()?))
            }
        }
    }

    /// What was given row by row, where None is nothing.
    fn for_each<'py, T>(
        &self,
        items: &[Bound<'py, PyAny>],
        of: impl Fn(&Bound<'py, PyAny>, usize) -> PyResult<T>,
    ) -> Column<T> {
        let one = |(row, item): (usize, &Bound<'py, PyAny>)| {
            if item.is_none() { Ok(None) } else { of(item, self.vocab.of(row)).map(Some) }
        };
        Ok(PerRow::Each(items.iter().enumerate().map(one).collect::<PyResult<_>>()?))
    }

    /// Refuses what has not one entry for each row of a batch.
    fn check_length(&self, py: Python<'_>, name: &str, length: usize) -> PyResult<()> {
        let count = self.shape.count;
        let message = if self.shape.is_row {
            format!("{name} must be for one row of logits, got one entry per row")
        } else if length != count {
            format!("{name} must have one entry for each of {count} rows, got {length}")
        } else {
            return Ok(());
        };
        Err(knob_error(py, message, name, length))
    }
}

/// A sequence of ids for every row, or one such sequence per row.
pub fn ids(name: &str, value: &Bound<'_, PyAny>, bounds: &Bounds) -> Column<Ids> {
    if value.is_none() {
        return Ok(PerRow::One(None));
    }
    if !is_flat_array(value) {
        let items = entries(name, value, IDS)?;
        if any(&items, |item| Ok(item.is_none() || is_sequence(item)?))? {
            bounds.check_length(value.py(), name, items.len())?;
            return bounds.for_each(&items, |item, vocab| Ok(id_list(name, item, vocab, IDS)?.into()));
        }
    }
    bounds.for_all(|vocab| Ok(id_list(name, value, vocab, IDS)?.into()))
}

/// The same, and a single id may stand without a list.
pub fn id_or_ids(name: &str, value: &Bound<'_, PyAny>, bounds: &Bounds) -> Column<Ids> {
    if value.is_none() || is_sequence(value)? {
        ids(name, value, bounds)
    } else {
        bounds.for_all(|vocab| Ok([id(name, value, vocab, IDS)?].into()))
    }
}

/// The ids of the row, or one sequence of ids per row of a batch; () is none.
pub fn histories(name: &str, value: &Bound<'_, PyAny>, bounds: &Bounds) -> Column<Vec<u32>> {
    if bounds.shape.is_row {
        return bounds.for_all(|vocab| id_list(name, value, vocab, "a sequence of token ids"));
    }
    let wanted = "a sequence of token ids for each row";
    let items = entries(name, value, wanted)?;
    if items.is_empty() {
        return Ok(PerRow::One(None));
    }
    bounds.check_length(value.py(), name, items.len())?;
    let one = |(row, item)| id_list(name, item, bounds.vocab.of(row), wanted).map(Some);
    Ok(PerRow::Each(items.iter().enumerate().map(one).collect::<PyResult<_>>()?))
}

/// A list of id sequences for every row, or one such list per row.
pub fn words(name: &str, value: &Bound<'_, PyAny>, bounds: &Bounds) -> Column<Arc<[Ids]>> {
    let wanted = "a list of token id sequences or one per row";
    if value.is_none() {
        return Ok(PerRow::One(None));
    }
    let given = entries(name, value, wanted)?;
    let holds_sequences =
        |item: &Bound<'_, PyAny>| any(&item.try_iter()?.collect::<PyResult<Vec<_>>>()?, is_sequence);
    let per_row = any(&given, |item| Ok(item.is_none() || (is_sequence(item)? && holds_sequences(item)?)))?;
    // [[], []]: no words for either row
    let is_hollow = !bounds.shape.is_row
        && !given.is_empty()
        && !any(&given, |item| Ok(is_sequence(item)? && item.len()? > 0))?;
    let of = |item: &Bound<'_, PyAny>, vocab| {
        let words = entries(name, item, wanted)?;
        words.iter().map(|item| word(name, item, vocab, wanted).map(Ids::from)).collect()
    };
    if per_row || is_hollow {
        bounds.check_length(value.py(), name, given.len())?;
        bounds.for_each(&given, of)
    } else {
        bounds.for_all(|vocab| of(value, vocab))
    }
}

/// A dict {id: bias} for every row, or one per row.
pub fn biases(name: &'static str, value: &Bound<'_, PyAny>, bounds: &Bounds) -> Column<Biases> {
    let wanted = "a dict of token id to bias or one per row";
    dicts(name, value, bounds, wanted, |key, vocab| id(name, key, vocab, wanted), Biases::from)
}

/// A dict {(id, ...): bias} for every row, or one per row; the shortest sequence comes first.
pub fn sequence_biases(
    name: &'static str,
    value: &Bound<'_, PyAny>,
    bounds: &Bounds,
) -> Column<SequenceBiases> {
    let wanted = "a dict of token id tuples to bias or one per row";
    let key_of = |key: &Bound<'_, PyAny>, vocab| word(name, key, vocab, wanted).map(Vec::into_boxed_slice);
    dicts(name, value, bounds, wanted, key_of, |mut biases| {
        biases.sort_by_key(|(sequence, _)| sequence.len());
        biases.into()
    })
}

/// Dicts of any keys, checked by `key_of`, made by `build` into what a row needs. A key that comes twice, in
/// two guises, keeps its first place and gets its last bias.
fn dicts<'py, K: Clone + Eq + Hash, T: Clone>(
    name: &'static str,
    value: &Bound<'py, PyAny>,
    bounds: &Bounds,
    wanted: &str,
    key_of: impl Fn(&Bound<'py, PyAny>, usize) -> PyResult<K>,
    build: impl Fn(Vec<(K, f64)>) -> T,
) -> Column<T> {
    let of = |item: &Bound<'py, PyAny>, vocab| {
        let Ok(mapping) = item.cast::<PyMapping>() else {
            return Err(type_error(format!("{name} must be {wanted}, got {} in it", type_name(item))));
        };
        let mut places: HashMap<K, usize> = HashMap::new();
        let mut biases: Vec<(K, f64)> = vec![];
        let mut add = |key: &Bound<'py, PyAny>, bias: &Bound<'py, PyAny>| {
            let PerRow::One(bias) = number_of(name, bias)? else {
                return Err(type_error(format!("{name} must hold one bias for each key, got a sequence")));
            };
            knobs::check(name, BIAS, bias, None).map_err(|error| to_python(item.py(), &error))?;
            let key = key_of(key, vocab)?;
            let place = *places.entry(key.clone()).or_insert(biases.len());
            match biases.get_mut(place) {
                Some(known) => known.1 = bias,
                None => biases.push((key, bias)),
            }
            Ok(())
        };
        if let Ok(dict) = item.cast::<PyDict>() {
            dict.iter().try_for_each(|(key, bias)| add(&key, &bias))?;
        } else {
            for pair in mapping.items()? {
                let (key, bias) = pair.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>()?;
                add(&key, &bias)?;
            }
        }
        Ok(build(biases))
    };
    if value.is_none() {
        return Ok(PerRow::One(None));
    }
    if value.cast::<PyMapping>().is_ok() {
        return bounds.for_all(|vocab| of(value, vocab));
    }
    if !is_sequence(value)? {
        return Err(type_error(format!("{name} must be {wanted}, got {}", type_name(value))));
    }
    let given = value.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    bounds.check_length(value.py(), name, given.len())?;
    bounds.for_each(&given, of)
}

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
fn is_flat_array(value: &Bound<'_, PyAny>) -> bool {
    plain_array::<i64>(value).is_some() || plain_array::<i32>(value).is_some()
}

/// An array of one dimension, of that type and of no subclass: a masked array's memory is not all it says.
fn plain_array<'py, T: Element>(value: &Bound<'py, PyAny>) -> Option<PyReadonlyArray1<'py, T>> {
    value.cast_exact::<PyUntypedArray>().ok()?.extract().ok()
}

fn any<'py>(
    items: &[Bound<'py, PyAny>],
    is: impl Fn(&Bound<'py, PyAny>) -> PyResult<bool>,
) -> PyResult<bool> {
    for item in items {
        if is(item)? {
            return Ok(true);
        }
    }
    Ok(false)
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
fn entries<'py>(name: &str, value: &Bound<'py, PyAny>, wanted: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
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

fn word(name: &str, value: &Bound<'_, PyAny>, vocab: usize, wanted: &str) -> PyResult<Vec<u32>> {
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
