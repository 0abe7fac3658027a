//! Short rows, borrowed only while they are read.
//!
//! A view of an array, which [`Logits::extract`] makes, takes about as long as all work on a row of 32 tokens. It is
//! needed where Python code may run while the memory is borrowed: that code may change the array's shape, by which
//! rust-numpy's book of borrows would look for it in vain. Where none does, the caller's own array is borrowed. (On an
//! interpreter without a GIL other threads may, at any time.)

use numpy::ndarray::ArrayView2;
use numpy::npyffi::NPY_TYPES;
use numpy::prelude::*;
use numpy::{PyArray1, PyReadonlyArray1, PyUntypedArray};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::WORTH_DETACHING;
use super::arrays::{Logits, Source, in_use, is_plain};
use super::errors::knob_error;
use super::rows::{Cells, Kind, Rows};
use crate::simd::StandardFloats;

impl<'py> Logits<'py> {
    /// [`Self::extract`] for a call that lets the kernels have the rows by [`Self::lend`] alone.
    pub fn extract_brief(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = object.cast_exact::<PyUntypedArray>()
            && let ([vocab], [4]) = (array.shape(), array.strides())
            && (1..WORTH_DETACHING).contains(vocab)
            && has_gil(object.py())
            && array.dtype().num() == NPY_TYPES::NPY_FLOAT as i32
            && is_plain(array, array.dtype().byteorder(), Kind::F32)
        {
            let (source, floats) = (Source::Brief(array.clone()), StandardFloats::begin());
            return Ok(Self { source, memory: None, is_row: true, rows: 1, vocab: *vocab, _floats: floats });
        }
        Self::extract(object)
    }

    /// The rows, for the kernels. `long` is whether Python code may run meanwhile, here or in another thread.
    pub fn lend(&self, long: bool) -> PyResult<Lent<'_, 'py>> {
        let Source::Brief(array) = &self.source else { return Ok(Lent { logits: self, brief: None }) };
        let (py, vocab) = (array.py(), self.vocab);
        let changed = || {
            let message =
                "logits must stay as they are during a call, got an array that was changed meanwhile";
            knob_error(py, message.to_owned(), "logits", "an array that was changed")
        };
        // The other arguments may have run Python code, which may have given the array another shape or type.
        let row = array.cast::<PyArray1<f32>>().map_err(|_| changed())?;
        let row = if long { row.reshape([vocab]).map_err(|_| changed())? } else { row.clone() };
        let brief = row.try_into_readonly().map_err(|_| in_use(py))?;
        match brief.as_slice() {
            Ok(row) if row.len() == vocab => Ok(Lent { logits: self, brief: Some(brief) }),
            _ => Err(changed()),
        }
    }
}

/// Whether no other thread runs Python code while this one does not let it.
fn has_gil(py: Python<'_>) -> bool {
    static HAS_GIL: PyOnceLock<bool> = PyOnceLock::new();
    let ask = || match py.import("sys")?.getattr_opt("_is_gil_enabled")? {
        Some(is_enabled) => is_enabled.call0()?.is_truthy(),
        None => PyResult::Ok(true), // before Python 3.13
    };
    // Once it is enabled it stays so. Where nobody can tell, a view is safe.
    *HAS_GIL.get_or_init(py, || ask().unwrap_or(false))
}

/// Logits, borrowed for the kernels.
pub struct Lent<'a, 'py> {
    logits: &'a Logits<'py>,
    brief: Option<PyReadonlyArray1<'py, f32>>,
}

impl Lent<'_, '_> {
    /// The rows, for use with the GIL released.
    pub fn rows(&self) -> Rows<'_> {
        let brief = self.brief.as_ref().and_then(|row| row.as_slice().ok());
        match brief.and_then(|row| ArrayView2::from_shape((1, row.len()), row).ok()) {
            Some(row) => Rows::new(Cells::F32(row)),
            None => self.logits.view(),
        }
    }
}
