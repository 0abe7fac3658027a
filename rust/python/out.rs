//! Where results go: a fresh float32 array of the logits' shape, or the caller's `out`; and the rows of
//! both side by side.
//!
//! An `out` whose rows lie in memory as `&mut [f32]` is written directly. One that does not (strided,
//! unaligned, byte-swapped, or in the book of borrows by an over-estimate) gets its results from a fresh
//! array at the end. `out=logits` is read and written through the one view there is: each row is copied
//! to scratch first.

use std::cell::RefCell;

use numpy::ndarray::{ArrayViewMut2, Axis};
use numpy::prelude::*;
use numpy::{PyArray2, PyArrayDyn, PyReadwriteArray2, PyUntypedArray, dtype};
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use pyo3::{intern, prelude::*};

use super::arrays::{Logits, as_array, from_dlpack, kind_of, name_of};
use super::errors::{knob_error, type_error};
use super::rows::{Cells, Kind, Rows};
use crate::threads;

/// Where results go.
pub struct Out<'py> {
    /// What is written: a view of our own of `returned`, or a fresh array.
    target: Bound<'py, PyArray2<f32>>,
    /// The borrow of `target`; none as yet where it is the logits' memory, borrowed for reading.
    guard: Option<PyReadwriteArray2<'py, f32>>,
    /// A fresh array whose results `finish` copies to `returned`.
    detour: Option<Bound<'py, PyAny>>,
    returned: Bound<'py, PyAny>,
}

impl<'py> Out<'py> {
    /// A fresh array, or `out`, checked.
    pub fn extract(
        out: Option<&Bound<'py, PyAny>>,
        logits_object: &Bound<'py, PyAny>,
        logits: &Logits<'py>,
    ) -> PyResult<Self> {
        let py = logits_object.py();
        let Some(out) = out else {
            let returned = empty(py, logits)?;
            let target = as_rows(returned.cast()?, logits)?;
            return Ok(Self { target, guard: None, detour: None, returned });
        };
        let plain = check_kind(out, logits)?;
        let tidy = as_rows(&plain, logits).ok().filter(|view| is_tidy(&plain, view));
        if let Some(target) = tidy.clone().filter(|view| is_logits(view, logits)) {
            return Ok(Self { target, guard: None, detour: None, returned: out.clone() });
        }
        check_overlap(&plain, logits_object, logits)?;
        if let Some(target) = tidy
            && let Ok(guard) = target.try_readwrite()
        {
            return Ok(Self { target, guard: Some(guard), detour: None, returned: out.clone() });
        }
        let fresh = empty(py, logits)?;
        let target = as_rows(fresh.cast()?, logits)?;
        Ok(Self { target, guard: None, detour: Some(fresh), returned: out.clone() })
    }

    /// The rows of both. The logits give up their memory where it is `out`'s as well.
    pub fn pairs<'a>(&'a mut self, logits: &'a mut Logits<'py>) -> PyResult<Pairs<'a>> {
        let within = is_logits(&self.target, logits);
        if within {
            logits.release();
        }
        let guard = match self.guard.take() {
            Some(guard) => guard,
            None => self.target.try_readwrite().map_err(|_| {
                let message = "out must not be the logits of a call that still runs, got an array in use";
                knob_error(self.target.py(), message.to_owned(), "out", "an array in use")
            })?,
        };
        let target = self.guard.insert(guard).as_array_mut();
        Ok(Pairs { source: (!within).then(|| logits.view()), target })
    }

    /// What the caller gets, once the results are written.
    pub fn finish(self) -> PyResult<Bound<'py, PyAny>> {
        static COPYTO: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        drop(self.guard);
        if let Some(fresh) = self.detour {
            let copyto = COPYTO.import(self.returned.py(), "numpy", "copyto")?;
            copyto.call1((as_array(&self.returned)?, fresh))?;
        }
        Ok(self.returned)
    }
}

/// Each row of logits beside the row its result goes to. Knows nothing of Python.
pub struct Pairs<'a> {
    /// None where the logits are read from `target`.
    source: Option<Rows<'a>>,
    target: ArrayViewMut2<'a, f32>,
}

impl Pairs<'_> {
    /// The logits, to be checked before anything is written.
    pub fn rows(&self) -> Rows<'_> {
        match &self.source {
            Some(rows) => rows.reborrow(),
            None => Rows::new(Cells::F32(self.target.view())),
        }
    }

    /// Calls `kernel(i, logits, result)` for each row i, over threads where it pays.
    pub fn fill(&mut self, kernel: impl Fn(usize, &[f32], &mut [f32]) + Sync) {
        let source = self.source;
        let vocab = self.target.ncols();
        // Tidy rows have stride 1: each is a slice.
        let results = self.target.axis_iter_mut(Axis(0)).map(|row| row.into_slice().unwrap_or_default());
        threads::map_rows(results.collect(), vocab, |i, result: &mut [f32]| {
            with_scratch(|scratch| {
                let row = if let Some(rows) = &source {
                    rows.row(i, scratch)
                } else {
                    scratch.clear();
                    scratch.extend_from_slice(result);
                    scratch
                };
                kernel(i, row, result);
            });
        });
    }
}

/// Lends the thread's scratch row. It is taken out meanwhile: a kernel that waits for other threads may be
/// made to run another row here.
fn with_scratch<R>(work: impl FnOnce(&mut Vec<f32>) -> R) -> R {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    let mut scratch = SCRATCH.take();
    let result = work(&mut scratch);
    SCRATCH.set(scratch);
    result
}

/// A fresh array of the logits' shape. Not zeroed: that would cost as much as some kernels.
fn empty<'py>(py: Python<'py>, logits: &Logits<'py>) -> PyResult<Bound<'py, PyAny>> {
    static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let empty = EMPTY.import(py, "numpy", "empty")?;
    empty.call1((shape_of(py, logits)?, dtype::<f32>(py)))
}

/// The logits' shape as given.
fn shape_of<'py>(py: Python<'py>, logits: &Logits<'py>) -> PyResult<Bound<'py, PyTuple>> {
    if logits.is_row() {
        PyTuple::new(py, [logits.vocab()])
    } else {
        PyTuple::new(py, [logits.rows(), logits.vocab()])
    }
}

/// A view of `array`, of the logits' shape, as (rows, vocab).
fn as_rows<'py>(
    array: &Bound<'py, PyUntypedArray>,
    logits: &Logits<'py>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    array.cast::<PyArrayDyn<f32>>()?.reshape([logits.rows(), logits.vocab()])
}

/// `out` as a plain array; an error unless it is float32, of the logits' shape and writeable.
fn check_kind<'py>(out: &Bound<'py, PyAny>, logits: &Logits<'py>) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = out.py();
    let refused = |got: &str| type_error(format!("out must be a float32 NumPy array, got {got}"));
    if !out.is_instance_of::<PyUntypedArray>() {
        return Err(refused(out.get_type().name()?.to_str()?));
    }
    let plain = as_array(out)?;
    if kind_of(&plain.dtype())? != Some(Kind::F32) {
        return Err(refused(&name_of(&plain.dtype())?));
    }
    let same_shape = match *plain.shape() {
        [vocab] => logits.is_row() && vocab == logits.vocab(),
        [rows, vocab] => !logits.is_row() && (rows, vocab) == (logits.rows(), logits.vocab()),
        _ => false,
    };
    if !same_shape {
        let (shape, wanted) = (PyTuple::new(py, plain.shape())?, shape_of(py, logits)?);
        let message = format!("out must have the shape of logits {wanted}, got {shape}");
        return Err(knob_error(py, message, "out", shape));
    }
    if !plain.getattr(intern!(py, "flags"))?.getattr(intern!(py, "writeable"))?.is_truthy()? {
        let message = "out must be writeable, got a read-only array";
        return Err(knob_error(py, message.to_owned(), "out", "a read-only array"));
    }
    Ok(plain)
}

/// Whether each row of the view is a slice, and no two of them overlap. Memory of no rows may lie anywhere.
fn is_tidy(array: &Bound<'_, PyUntypedArray>, view: &Bound<'_, PyArray2<f32>>) -> bool {
    let (shape, strides) = (view.shape(), view.strides());
    let (rows, row) = (shape[0], shape[1] as i128 * 4);
    rows > 0 && array.is_aligned() && strides[1] == 4 && (rows == 1 || strides[0] as i128 >= row)
}

/// Whether the view is the logits: the same float32 memory in the same order.
fn is_logits(view: &Bound<'_, PyArray2<f32>>, logits: &Logits<'_>) -> bool {
    let strides = view.strides();
    logits.view().place().is_some_and(|(at, [row, token])| {
        at == view.data().cast_const()
            && (logits.rows() == 1 || row * 4 == strides[0])
            && (logits.vocab() == 1 || token * 4 == strides[1])
    })
}

/// An error where `out` shares memory with the logits and is not the same array.
fn check_overlap<'py>(
    out: &Bound<'py, PyUntypedArray>,
    logits_object: &Bound<'py, PyAny>,
    logits: &Logits<'py>,
) -> PyResult<()> {
    static SHARES_MEMORY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = out.py();
    let overlapping = || {
        let message = "out must be logits itself or not overlap it, got an overlapping array";
        Err(knob_error(py, message.to_owned(), "out", "an overlapping array"))
    };
    let memory = match (logits.memory(), logits.tensor_range()) {
        (Some(memory), _) => memory.clone(),
        (None, None) => return Ok(()), // a list
        (None, Some(range)) if are_apart(out, range) => return Ok(()),
        // A tensor that NumPy cannot read, bfloat16, is taken to fill its range.
        (None, Some(_)) => match from_dlpack(logits_object) {
            Ok(memory) => memory,
            Err(_) => return overlapping(),
        },
    };
    // Compares bounds first, and only where they meet solves for a common element.
    let shares_memory = SHARES_MEMORY.import(py, "numpy", "shares_memory")?;
    if shares_memory.call1((out, &memory))?.is_truthy()? && !is_same(out, &memory)? {
        return overlapping();
    }
    Ok(())
}

/// Whether `out` ends before the range or begins after it.
fn are_apart(out: &Bound<'_, PyUntypedArray>, range: (usize, usize)) -> bool {
    let Ok(out) = out.cast::<PyArrayDyn<f32>>() else { return false };
    let reach = |(dim, stride): (&usize, &isize)| (*dim as i128 - 1).max(0) * *stride as i128;
    let (mut first, mut last) = (out.data().addr() as i128, out.data().addr() as i128 + 4);
    for axis in out.shape().iter().zip(out.strides()).map(reach) {
        first += axis.min(0);
        last += axis.max(0);
    }
    last <= range.0 as i128 || range.1 as i128 <= first
}

/// Whether two arrays of one shape are the same elements in the same order.
fn is_same(a: &Bound<'_, PyUntypedArray>, b: &Bound<'_, PyUntypedArray>) -> PyResult<bool> {
    let address = |array: &Bound<'_, PyUntypedArray>| -> PyResult<usize> {
        array.getattr(intern!(array.py(), "ctypes"))?.getattr(intern!(array.py(), "data"))?.extract()
    };
    let strides = a.shape().iter().zip(a.strides().iter().zip(b.strides()));
    Ok(a.dtype().is_equiv_to(&b.dtype())
        && strides.into_iter().all(|(dim, (a, b))| *dim == 1 || a == b)
        && address(a)? == address(b)?)
}
