//! Logits in: whatever holds numbers becomes rows that can be read with the GIL released.
//!
//! The order is the reference's: NumPy arrays, lists and tuples, DLPack, then what `np.asarray` takes.
//! Memory is read in place where a view of it can exist: copied are only lists, and arrays that are
//! unaligned, byte-swapped or one repeated element.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use numpy::ndarray::ArrayView2;
use numpy::npyffi::NPY_TYPES;
use numpy::prelude::*;
use numpy::{Element, PyArrayDescr, PyArrayDyn, PyReadonlyArray2, PyUntypedArray, dtype};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyMemoryView, PyTuple};
use pyo3::{intern, prelude::*};

use super::dlpack::{Tensor, exportable, unreadable};
use super::errors::{knob_error, to_python, type_error};
use super::rows::{Cells, Kind, Rows};
use crate::law;
use crate::simd::StandardFloats;

/// Logits as given: (vocab,) or (batch, vocab).
pub struct Logits<'py> {
    pub(super) source: Source<'py>,
    /// The array whose memory was given, where it is one: `out` may overlap it.
    pub(super) memory: Option<Bound<'py, PyUntypedArray>>,
    pub(super) is_row: bool,
    pub(super) rows: usize,
    pub(super) vocab: usize,
    /// Whoever has logits computes with them: every number of a call but these and its knobs comes out of them.
    pub(super) _floats: StandardFloats,
}

/// Each array is a view of our own: whoever has the caller's array may change its shape meanwhile, and
/// rust-numpy's book of borrows, kept by shape, would not find it again.
pub(super) enum Source<'py> {
    F32(PyReadonlyArray2<'py, f32>),
    F64(PyReadonlyArray2<'py, f64>),
    F16(PyReadonlyArray2<'py, half::f16>),
    Bf16(PyReadonlyArray2<'py, u16>),
    Tensor(Tensor<'py>),
    /// A short row, contiguous, that is only borrowed while it is read: see [`Logits::extract_brief`].
    Brief(Bound<'py, PyUntypedArray>),
    /// No rows, or rows that are read from `out`.
    Nothing,
}

impl<'py> Logits<'py> {
    /// Takes what the caller gave.
    pub fn extract(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let floats = StandardFloats::begin();
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            return Self::from_array(array, floats);
        }
        if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
            return Self::from_list(object, floats);
        }
        if object.hasattr(intern!(py, "__dlpack__"))? {
            return Self::from_tensor(object, floats);
        }
        let has_array = object.hasattr(intern!(py, "__array__"))?
            || object.hasattr(intern!(py, "__array_interface__"))?
            || object.hasattr(intern!(py, "__array_struct__"))?;
        if has_array || PyMemoryView::from(object).is_ok() {
            return Self::from_array(&as_array(object)?, floats);
        }
        let name = object.get_type().name()?;
        Err(type_error(format!("logits must be an array or a list of numbers, got {name}")))
    }

    /// Whether the logits were given as (vocab,).
    pub fn is_row(&self) -> bool {
        self.is_row
    }

    /// How many rows: 1 for (vocab,).
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Logits per row.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// The rows, for use with the GIL released.
    pub fn view(&self) -> Rows<'_> {
        let nothing = || Cells::F32(ArrayView2::from(&[] as &[[f32; 0]]));
        let cells = match &self.source {
            Source::F32(array) => Cells::F32(array.as_array()),
            Source::F64(array) => Cells::F64(array.as_array()),
            Source::F16(array) => Cells::F16(array.as_array()),
            Source::Bf16(array) => Cells::Bf16(array.as_array()),
            Source::Tensor(tensor) => tensor.cells().unwrap_or_else(nothing),
            Source::Brief(_) | Source::Nothing => nothing(),
        };
        Rows::new(cells)
    }

    /// The given array, where the logits' memory is a NumPy array's.
    pub(super) fn memory(&self) -> Option<&Bound<'py, PyUntypedArray>> {
        self.memory.as_ref()
    }

    /// First address and the one past the last, where the memory is a DLPack tensor's.
    pub(super) fn tensor_range(&self) -> Option<(usize, usize)> {
        match &self.source {
            Source::Tensor(tensor) => Some(tensor.range()),
            _ => None,
        }
    }

    /// Gives the memory up, so that it can be borrowed for writing.
    pub(super) fn release(&mut self) {
        self.source = Source::Nothing;
    }

    fn from_array(array: &Bound<'py, PyUntypedArray>, floats: StandardFloats) -> PyResult<Self> {
        let py = array.py();
        // A subclass may run Python code whenever a view of it is made: take its plain array.
        let plain = if array.is_exact_instance_of::<PyUntypedArray>() { array } else { &unmasked(array)? };
        let dtype = plain.dtype();
        let Some(kind) = kind_of(&dtype)? else { return Err(refused_dtype(&name_of(&dtype)?)) };
        let (is_row, rows, vocab) = check_shape(py, plain.shape())?;
        let source = match rows {
            0 => Source::Nothing,
            _ if is_plain(plain, dtype.byteorder(), kind) => Source::of(plain, kind, [rows, vocab])?,
            _ => Source::of(&copied(plain, kind)?, kind.copied(), [rows, vocab])?,
        };
        Ok(Self { source, memory: Some(plain.clone()), is_row, rows, vocab, _floats: floats })
    }

    fn from_list(list: &Bound<'py, PyAny>, floats: StandardFloats) -> PyResult<Self> {
        let py = list.py();
        let array = as_array(list).map_err(|error| {
            let ragged = error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyTypeError>(py);
            if ragged {
                type_error("logits must be numbers in rows of equal length, got a ragged list")
            } else {
                error
            }
        })?;
        // Whole numbers go the way of float64: rounded to float32, once.
        let array = match array.dtype().kind() {
            b'i' | b'u' => cast_to(&array, numpy::dtype::<f64>(py))?,
            _ => array,
        };
        Ok(Self { memory: None, ..Self::from_array(&array, floats)? })
    }

    fn from_tensor(object: &Bound<'py, PyAny>, floats: StandardFloats) -> PyResult<Self> {
        let tensor = Tensor::extract(object)?;
        if !tensor.is_aligned() {
            drop(tensor);
            let array = from_dlpack(object).map_err(|_| unreadable(object))?;
            return Self::from_array(&array, floats);
        }
        let (is_row, rows, vocab) = check_shape(object.py(), tensor.shape())?;
        Ok(Self { source: Source::Tensor(tensor), memory: None, is_row, rows, vocab, _floats: floats })
    }
}

impl<'py> Source<'py> {
    /// `array`, which is plain and of this kind, as (rows, vocab).
    fn of(array: &Bound<'py, PyUntypedArray>, kind: Kind, shape: [usize; 2]) -> PyResult<Self> {
        Ok(match kind {
            Kind::F32 => Self::F32(borrow(array, shape)?),
            Kind::F64 => Self::F64(borrow(array, shape)?),
            Kind::F16 => Self::F16(borrow(array, shape)?),
            Kind::Bf16 => {
                let bits = array.call_method1("view", (dtype::<u16>(array.py()),))?;
                Self::Bf16(borrow(bits.cast::<PyUntypedArray>()?, shape)?)
            }
        })
    }
}

impl Kind {
    /// The kind `copied` gives: bfloat16 widens on the way.
    fn copied(self) -> Self {
        match self {
            Self::Bf16 => Self::F32,
            same => same,
        }
    }
}

/// The plain array of a subclass; one with masked items would show what lies beneath them.
fn unmasked<'py>(array: &Bound<'py, PyUntypedArray>) -> PyResult<Bound<'py, PyUntypedArray>> {
    static IS_MASKED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if IS_MASKED.import(array.py(), "numpy.ma", "is_masked")?.call1((array,))?.is_truthy()? {
        let got = format!("a masked {}", array.get_type().name()?);
        return Err(type_error(format!(
            "logits must have no masked item, got {got}; pass logits.filled(-np.inf)"
        )));
    }
    as_array(array)
}

/// A view of our own, borrowed for reading.
fn borrow<'py, T: Element>(
    array: &Bound<'py, PyUntypedArray>,
    shape: [usize; 2],
) -> PyResult<PyReadonlyArray2<'py, T>> {
    let view = array.cast::<PyArrayDyn<T>>()?.reshape(shape)?;
    view.try_into_readonly().map_err(|_| in_use(array.py()))
}

/// The borrow is refused.
pub(super) fn in_use(py: Python<'_>) -> PyErr {
    let message = "logits must not be the out of a call that still runs, got an array in use";
    knob_error(py, message.to_owned(), "logits", "an array in use")
}

/// Whether Rust can view the memory: native, aligned, in whole elements. Strides that are all zero, one
/// element repeated, are what rust-numpy's book of borrows divides by.
pub(super) fn is_plain(array: &Bound<'_, PyUntypedArray>, byteorder: u8, kind: Kind) -> bool {
    let partial = match kind {
        Kind::F64 => 7, // on some systems NumPy calls a float64 aligned at multiples of 4
        Kind::F32 => 3,
        Kind::F16 | Kind::Bf16 => 1,
    };
    let strides = array.strides();
    matches!(byteorder, b'=' | b'|')
        && array.is_aligned()
        && strides.iter().all(|stride| stride & partial == 0)
        && strides.iter().any(|stride| *stride != 0)
}

/// The kind of a dtype, in either byte order; None where it is none of ours.
pub(super) fn kind_of(dtype: &Bound<'_, PyArrayDescr>) -> PyResult<Option<Kind>> {
    const F32: i32 = NPY_TYPES::NPY_FLOAT as i32;
    const F64: i32 = NPY_TYPES::NPY_DOUBLE as i32;
    const F16: i32 = NPY_TYPES::NPY_HALF as i32;
    // The number NumPy gave to bfloat16 when ml_dtypes was imported: asking for the name takes 1 us.
    static BF16: AtomicI32 = AtomicI32::new(-1);
    Ok(match dtype.num() {
        F32 => Some(Kind::F32),
        F64 => Some(Kind::F64),
        F16 => Some(Kind::F16),
        number if number == BF16.load(Relaxed) => Some(Kind::Bf16),
        number if dtype.itemsize() == 2 && name_of(dtype)? == "bfloat16" => {
            BF16.store(number, Relaxed);
            Some(Kind::Bf16)
        }
        _ => None,
    })
}

/// `dtype.name`.
pub(super) fn name_of(dtype: &Bound<'_, PyArrayDescr>) -> PyResult<String> {
    dtype.getattr(intern!(dtype.py(), "name"))?.extract()
}

/// A dtype that is none of ours.
pub(super) fn refused_dtype(name: &str) -> PyErr {
    type_error(format!("logits must be float32, float64, float16 or bfloat16, got {name}"))
}

/// Whether it is one row, how many rows, and the vocabulary.
fn check_shape(py: Python<'_>, shape: &[usize]) -> PyResult<(bool, usize, usize)> {
    let (is_row, rows, vocab) = match *shape {
        [vocab] => (true, 1, vocab),
        [rows, vocab] => (false, rows, vocab),
        _ => {
            let shape = PyTuple::new(py, shape)?;
            let cure = if shape.len() == 3 { "; pass logits[:, -1]" } else { "" };
            let message = format!("logits must be (vocab,) or (batch, vocab), got shape {shape}{cure}");
            return Err(knob_error(py, message, "logits", shape));
        }
    };
    law::check_length(vocab).map_err(|error| to_python(py, &error))?;
    Ok((is_row, rows, vocab))
}

/// A fresh, native, aligned copy in C order; bfloat16, which NumPy has no native name for, as float32.
fn copied<'py>(array: &Bound<'py, PyUntypedArray>, kind: Kind) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = array.py();
    cast_to(
        array,
        match kind {
            Kind::F32 | Kind::Bf16 => dtype::<f32>(py),
            Kind::F64 => dtype::<f64>(py),
            Kind::F16 => dtype::<half::f16>(py),
        },
    )
}

/// `array.astype(dtype, order="C")`: always a copy.
fn cast_to<'py>(
    array: &Bound<'py, PyUntypedArray>,
    dtype: Bound<'py, PyArrayDescr>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    Ok(array.call_method1(intern!(array.py(), "astype"), (dtype, "C"))?.cast_into()?)
}

/// `np.asarray(object)`.
pub(super) fn as_array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let asarray = ASARRAY.import(object.py(), "numpy", "asarray")?;
    Ok(asarray.call1((object,))?.cast_into()?)
}

/// `np.from_dlpack` of what can be exported of `object`.
pub(super) fn from_dlpack<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyUntypedArray>> {
    static FROM_DLPACK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let from_dlpack = FROM_DLPACK.import(object.py(), "numpy", "from_dlpack")?;
    Ok(from_dlpack.call1((exportable(object)?,))?.cast_into()?)
}
