//! Packed masks of a grammar, int32 words as xgrammar and llguidance give them: read where they lie.

use std::sync::Arc;

use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arrays::as_array;
use super::errors::{knob_error, type_error};
use super::ids::items;
use super::knobs::{PerRow, Shape, type_name};
use super::lists::{Bounds, Column};

/// int32 words (words,) for every row or (batch, words), as xgrammar and llguidance pack them.
pub fn bitmask(name: &str, value: &Bound<'_, PyAny>, bounds: &Bounds) -> Column<Arc<[i32]>> {
    if value.is_none() {
        return Ok(PerRow::One(None));
    }
    let words = Words::extract(name, value, bounds.shape, bounds.width)?;
    Ok(match words.per_row {
        None => PerRow::One(Some(words.of(0).into())),
        Some(_) => PerRow::Each((0..bounds.shape.count).map(|row| Some(words.of(row).into())).collect()),
    })
}

/// The words of a bitmask, where they lie.
pub struct Words<'py> {
    /// Contiguous, row by row.
    array: PyReadonlyArrayDyn<'py, i32>,
    /// How many each row has; None where all share them.
    per_row: Option<usize>,
}

impl<'py> Words<'py> {
    pub fn extract(name: &str, value: &Bound<'py, PyAny>, shape: Shape, width: usize) -> PyResult<Self> {
        let py = value.py();
        if !value.hasattr("__array__")? {
            return Err(type_error(format!("{name} must be an int32 array, got {}", type_name(value))));
        }
        let array = as_array(value)?;
        let Ok(words) = array.cast::<PyArrayDyn<i32>>() else {
            let dtype = array.getattr("dtype")?;
            return Err(type_error(format!("{name} must be an int32 array, got an array of {dtype}")));
        };
        let (Shape { count, is_row }, lengths) = (shape, words.shape());
        if lengths.len() != 1 && (is_row || lengths.len() != 2 || lengths[0] != count) {
            let wanted = if is_row { "(words,)".to_owned() } else { format!("(words,) or ({count}, words)") };
            let shape = array.getattr("shape")?;
            let message = format!("{name} must have shape {wanted}, got shape {shape}");
            return Err(knob_error(py, message, name, shape));
        }
        let (most, got) = (width.div_ceil(32), lengths[lengths.len() - 1]);
        if got > most {
            let message = format!("{name} must have at most {most} words for {width} tokens, got {got}");
            return Err(knob_error(py, message, name, got));
        }
        let per_row = (lengths.len() == 2).then_some(got);
        // A slice alone, of a copy where it must be: rust-numpy's views round strides down to whole elements, and
        // its slices stand in the order of the memory, which may be column by column.
        let array = words.try_readonly()?;
        if words.is_c_contiguous() && array.as_slice().is_ok() {
            return Ok(Self { array, per_row });
        }
        let copy = words.call_method0("copy")?.cast_into::<PyArrayDyn<i32>>()?;
        Ok(Self { array: copy.try_into_readonly()?, per_row })
    }

    /// The row's words.
    pub fn of(&self, row: usize) -> &[i32] {
        let words = self.array.as_slice().unwrap_or_default(); // contiguous, so there is a slice
        match self.per_row {
            None => words,
            Some(count) => &words[row * count..][..count],
        }
    }
}

/// A bitmask for each row, where it lies: for all rows, a row of words for each, or a list with None for rows
/// without.
pub struct RowMasks<'py>(Vec<Option<Words<'py>>>);

impl<'py> RowMasks<'py> {
    pub fn extract(name: &str, value: &Bound<'py, PyAny>, shape: Shape, width: usize) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self(vec![]));
        }
        if !(value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>()) {
            return Ok(Self(vec![Some(Words::extract(name, value, shape, width)?)]));
        }
        let items = items(name, value, "a list of int32 arrays")?;
        if items.len() != shape.count {
            let (count, got) = (shape.count, items.len());
            let message = format!("{name} must have one entry for each of {count} rows, got {got}");
            return Err(knob_error(value.py(), message, name, got));
        }
        let row = Shape { count: 1, is_row: true };
        let one = |item: &Bound<'py, PyAny>| {
            if item.is_none() { Ok(None) } else { Words::extract(name, item, row, width).map(Some) }
        };
        items.iter().map(one).collect::<PyResult<_>>().map(Self)
    }

    /// The words of each of so many rows.
    pub fn rows(&self, count: usize) -> Vec<Option<&[i32]>> {
        match self.0.as_slice() {
            [] => vec![None; count],
            [Some(words)] => (0..count).map(|row| Some(words.of(row))).collect(),
            each => each.iter().map(|words| words.as_ref().map(|words| words.of(0))).collect(),
        }
    }
}
