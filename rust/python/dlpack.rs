//! Reads the memory of any array on the CPU that speaks DLPack, without a copy and whatever NumPy
//! thinks of its dtype: the one way to a torch bfloat16 tensor.
//!
//! The only file of the binding with `unsafe`. Its unsafety is DLPack's own: a capsule is a promise by
//! its producer that a pointer, a shape and strides belong together, and no consumer can check that.
//! What can be checked is: version, device, dtype, lanes, signs and sizes, null pointers, alignment.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::mem::align_of;
use std::ptr::{NonNull, null_mut};

use half::f16;
use numpy::ndarray::{ArrayView2, Axis, ShapeBuilder};
use pyo3::exceptions::PyTypeError;
use pyo3::types::{PyCapsule, PyDict, PyTuple};
use pyo3::{ffi, intern, prelude::*};

use super::errors::type_error;
use super::layout::{DlTensor, Layout, check_device};
use super::rows::{Cells, Kind};

// The C structures of dlpack.h 1.x around a tensor, field by field.

#[repr(C)]
struct Unversioned {
    tensor: DlTensor,
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Self)>,
}

#[repr(C)]
struct Versioned {
    major: u32,
    minor: u32,
    manager_ctx: *mut c_void,
    deleter: Option<unsafe extern "C" fn(*mut Self)>,
    flags: u64,
    tensor: DlTensor,
}

/// `type(x).__dlpack_c_exchange_api__`, as far as it is used here.
#[repr(C)]
struct ExchangeApi {
    major: u32,
    minor: u32,
    prev_api: *const c_void,
    managed_tensor_allocator: *const c_void,
    managed_tensor_from_py_object_no_sync:
        Option<unsafe extern "C" fn(*mut c_void, *mut *mut Versioned) -> c_int>,
}

/// The producer's structure, ours until its deleter is called: once, on drop, on every path.
enum Managed {
    Unversioned(NonNull<Unversioned>),
    Versioned(NonNull<Versioned>),
}

impl Managed {
    /// The tensor; None beyond version 1, where only version and deleter have a known place.
    fn tensor(&self) -> Option<&DlTensor> {
        match self {
            // SAFETY: the producer promises an aligned structure of this type, which is there and stays as it is until
            // its deleter is called: when `self`, from which this is borrowed, is dropped.
            Self::Unversioned(managed) => Some(unsafe { &managed.as_ref().tensor }),
            Self::Versioned(managed) => {
                // SAFETY: the version comes first in every version's structure, and no more than it is read.
                let major = unsafe { (*managed.as_ptr()).major };
                if major > 1 {
                    return None;
                }
                // SAFETY: as above; up to version 1 the structure is this one.
                Some(unsafe { &managed.as_ref().tensor })
            }
        }
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        match self {
            Self::Unversioned(managed) => {
                let managed = managed.as_ptr();
                // SAFETY: the structure became ours when its capsule was renamed, and is there until its deleter is
                // called: here, and nowhere else. `Tensor<'py>` keeps this under the GIL.
                unsafe {
                    if let Some(deleter) = (*managed).deleter {
                        deleter(managed);
                    }
                }
            }
            Self::Versioned(managed) => {
                let managed = managed.as_ptr();
                // SAFETY: as above, or the exchange API has made it for us. The deleter has its place in every version,
                // and no more than that field is read: of a later version the rest may not be there.
                unsafe {
                    if let Some(deleter) = (*managed).deleter {
                        deleter(managed);
                    }
                }
            }
        }
    }
}

/// A tensor of one or two dimensions, or of another number of them that the caller refuses by its shape.
pub struct Tensor<'py> {
    /// Keeps the memory alive.
    _managed: Managed,
    layout: Layout,
    /// The deleter may run Python code: dropped under the GIL alone.
    _gil: PhantomData<Bound<'py, PyAny>>,
}

impl<'py> Tensor<'py> {
    /// Takes over what `object` exports.
    pub fn extract(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let managed = match exchange(object) {
            Some(managed) => managed,
            None => export(object)?,
        };
        let tensor = managed.tensor().ok_or_else(|| unreadable(object))?;
        let layout = match sizes(tensor.ndim, tensor.shape) {
            Some(shape) => Layout::read(
                tensor,
                &shape,
                sizes(tensor.ndim, tensor.strides).filter(|_| !tensor.strides.is_null()),
            )?,
            None => None,
        };
        let layout = layout.ok_or_else(|| unreadable(object))?;
        Ok(Self { _managed: managed, layout, _gil: PhantomData })
    }

    /// The shape as exported.
    pub fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    /// First address and the one past the last.
    pub fn range(&self) -> (usize, usize) {
        (self.layout.lowest.addr(), self.layout.lowest.addr().wrapping_add(self.layout.bytes))
    }

    /// Whether the cells can be viewed in place.
    pub fn is_aligned(&self) -> bool {
        let align = match self.layout.kind {
            Kind::F32 => align_of::<f32>(),
            Kind::F64 => align_of::<f64>(),
            Kind::F16 | Kind::Bf16 => align_of::<u16>(),
        };
        self.layout.lowest.addr().is_multiple_of(align)
    }

    /// The cells as (rows, vocab); None where they cannot be viewed: unaligned, empty, or of another
    /// number of dimensions.
    pub fn cells(&self) -> Option<Cells<'_>> {
        let (rows, vocab) = match *self.layout.shape {
            [vocab] => (1, vocab),
            [rows, vocab] => (rows, vocab),
            _ => return None,
        };
        if !self.is_aligned() || self.layout.lowest.is_null() || rows == 0 || vocab == 0 {
            return None;
        }
        let shape = (rows, vocab);
        Some(match self.layout.kind {
            // SAFETY: `lowest` is neither null nor unaligned (above), and holds float32 of this shape.
            Kind::F32 => Cells::F32(unsafe { self.view::<f32>(shape) }),
            // SAFETY: as above, float64.
            Kind::F64 => Cells::F64(unsafe { self.view::<f64>(shape) }),
            // SAFETY: as above, float16: two bytes, aligned as u16 is, none of them invalid.
            Kind::F16 => Cells::F16(unsafe { self.view::<f16>(shape) }),
            // SAFETY: as above, bfloat16 by its bits: two bytes, none of them invalid.
            Kind::Bf16 => Cells::Bf16(unsafe { self.view::<u16>(shape) }),
        })
    }

    /// # Safety
    /// `T` must be what `kind` says, `lowest` not null and aligned for it, and `shape` the tensor's, without a zero.
    unsafe fn view<T>(&self, shape: (usize, usize)) -> ArrayView2<'_, T> {
        let strides = (self.layout.strides[0], self.layout.strides[1]);
        // SAFETY: pointer and type are the caller's promise. Strides are not negative, and elements and extent in bytes
        // fit an isize (`Layout::read`). That memory of that extent is there from `lowest` on, lives as long as `_managed`
        // and is not written to meanwhile is the producer's promise, and its owner's.
        let mut view =
            unsafe { ArrayView2::from_shape_ptr(shape.strides(strides), self.layout.lowest.cast::<T>()) };
        for (axis, flipped) in self.layout.flipped.iter().enumerate() {
            if *flipped {
                view.invert_axis(Axis(axis));
            }
        }
        view
    }
}

/// `ndim` numbers at `numbers`.
fn sizes(ndim: i32, numbers: *const i64) -> Option<Vec<i64>> {
    let ndim = usize::try_from(ndim).ok().filter(|ndim| *ndim <= 64)?;
    if ndim > 0 && numbers.is_null() {
        return None;
    }
    // SAFETY: not null where there is an i, and the producer promises `ndim` numbers there, wherever they are aligned.
    Some((0..ndim).map(|i| unsafe { numbers.add(i).read_unaligned() }).collect())
}

/// The fast way, torch's: a C function on the type, 50 ns where `__dlpack__` takes 2 us. It exports also
/// what requires grad. None, with no exception set, where it is absent or fails: `__dlpack__` says why.
fn exchange(object: &Bound<'_, PyAny>) -> Option<Managed> {
    let py = object.py();
    let api = object.get_type().getattr(intern!(py, "__dlpack_c_exchange_api__")).ok()?;
    let api = api.cast_into::<PyCapsule>().ok()?;
    let api = api.pointer_checked(Some(c"dlpack_exchange_api")).ok()?.cast::<ExchangeApi>();
    // DLPack has no word for torch's lazy negation: such a tensor would be read with the wrong sign.
    let is_neg = object.getattr(intern!(py, "is_neg")).and_then(|is_neg| is_neg.call0());
    if is_neg.is_ok_and(|is_neg| is_neg.is_truthy().unwrap_or(true)) {
        return None;
    }
    // SAFETY: the capsule's name promises a structure that begins with its version, alive as long as the process. No
    // more than the version is read.
    if unsafe { (*api.as_ptr()).major } != 1 {
        return None;
    }
    // SAFETY: as above, and in version 1 it has this field.
    let export = unsafe { (*api.as_ptr()).managed_tensor_from_py_object_no_sync }?;
    let mut managed = null_mut();
    // SAFETY: the function takes an object that is borrowed, under the GIL, and a place for a pointer; where it gives 0,
    // what it has written there is a structure for us to delete.
    let failed = unsafe { export(object.as_ptr().cast(), &raw mut managed) };
    if failed != 0 {
        drop(PyErr::take(py));
        return None;
    }
    NonNull::new(managed).map(Managed::Versioned)
}

/// What to call `__dlpack__` on: a torch tensor without its gradient and with its sign applied.
pub fn exportable<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let mut object = object.clone();
    for method in [intern!(object.py(), "detach").clone(), intern!(object.py(), "resolve_neg").clone()] {
        if object.hasattr(&method)? {
            object = object.call_method0(&method)?;
        }
    }
    Ok(object)
}

/// The slow way: `__dlpack_device__`, then `__dlpack__`, then the capsule.
fn export(object: &Bound<'_, PyAny>) -> PyResult<Managed> {
    let py = object.py();
    let plain = exportable(object)?;
    let device = plain.call_method0(intern!(py, "__dlpack_device__"))?;
    let device = device.cast_into::<PyTuple>().map_err(|_| unreadable(object))?;
    let (device_type, device_id) = device.extract::<(i32, i32)>().map_err(|_| unreadable(object))?;
    check_device(device_type, device_id)?;
    let newest = PyDict::new(py);
    newest.set_item(intern!(py, "max_version"), (1, 0))?;
    let capsule = match plain.call_method(intern!(py, "__dlpack__"), (), Some(&newest)) {
        // A producer from before DLPack 1.0 does not know the argument.
        Err(error) if error.is_instance_of::<PyTypeError>(py) => {
            plain.call_method0(intern!(py, "__dlpack__"))?
        }
        other => other?,
    };
    let capsule = capsule.cast_into::<PyCapsule>().map_err(|_| unreadable(object))?;
    let (managed, used) = if let Ok(managed) = capsule.pointer_checked(Some(c"dltensor_versioned")) {
        (Managed::Versioned(managed.cast()), c"used_dltensor_versioned")
    } else if let Ok(managed) = capsule.pointer_checked(Some(c"dltensor")) {
        (Managed::Unversioned(managed.cast()), c"used_dltensor")
    } else {
        return Err(unreadable(object)); // consumed before, or no DLPack capsule at all
    };
    // SAFETY: `capsule` is a capsule, under the GIL, and the name is static. (Renamed, it no longer deletes the tensor.)
    if unsafe { ffi::PyCapsule_SetName(capsule.as_ptr(), used.as_ptr()) } != 0 {
        std::mem::forget(managed); // still the capsule's
        return Err(PyErr::fetch(py));
    }
    Ok(managed)
}

/// A broken promise of the producer's.
pub fn unreadable(object: &Bound<'_, PyAny>) -> PyErr {
    let name = object.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string());
    type_error(format!("logits must be a readable DLPack tensor, got {name}"))
}
