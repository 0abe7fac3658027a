//! What holds token ids for the rows: lists of ids, words, biases, histories; one for all rows or one per row. The
//! checks, their order and their words are those of `rheostat.reference.lists`.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use super::errors::{knob_error, to_python, type_error};
use super::ids::{entries, id, id_list, is_flat_array, is_sequence, word};
use super::knobs::{PerRow, Shape, number_of, type_name};
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
