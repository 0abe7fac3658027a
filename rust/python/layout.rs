//! What a DLPack tensor says about its memory, checked as far as a consumer can: device, dtype, lanes,
//! signs, sizes and null pointers. Only reads numbers; nothing here follows a pointer.

use std::ffi::c_void;

use pyo3::PyResult;

use super::arrays::refused_dtype;
use super::errors::type_error;
use super::rows::Kind;

/// `DLTensor` of dlpack.h 1.x, field by field.
#[repr(C)]
pub struct DlTensor {
    pub data: *mut c_void,
    pub device_type: i32,
    pub device_id: i32,
    pub ndim: i32,
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
    pub shape: *const i64,
    pub strides: *const i64,
    pub byte_offset: u64,
}

/// What a `DLTensor` says, checked.
pub struct Layout {
    pub kind: Kind,
    pub shape: Vec<usize>,
    /// Without their sign, in elements, of the (rows, vocab) view.
    pub strides: [usize; 2],
    /// Where the sign was negative.
    pub flipped: [bool; 2],
    /// The element with the lowest address.
    pub lowest: *const u8,
    /// Bytes from there to the end of the highest element.
    pub bytes: usize,
}

impl Layout {
    /// What `tensor` says, with the numbers its `shape` and `strides` point to (no strides: C order).
    /// None where that makes no sense.
    pub fn read(tensor: &DlTensor, shape: &[i64], strides: Option<Vec<i64>>) -> PyResult<Option<Self>> {
        check_device(tensor.device_type, tensor.device_id)?;
        let Some((kind, item)) = dtype(tensor) else { return Ok(None) };
        let Some(dims) = shape.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<Vec<_>>>()
        else {
            return Ok(None);
        };
        // Dimensions of size zero aside, as NumPy counts: it refuses what it could not address.
        let size = dims.iter().filter(|dim| **dim > 0).try_fold(item, |size, dim| size.checked_mul(*dim));
        if size.is_none_or(|size| isize::try_from(size).is_err()) {
            return Ok(None);
        }
        let kind = match kind {
            Ok(kind) => kind,
            Err(name) => return Err(refused_dtype(&name)),
        };
        let empty = dims.contains(&0);
        let base = tensor.data.cast::<u8>().cast_const();
        if base.is_null() && !empty {
            return Ok(None);
        }
        // A dimension of size one has no use for its stride.
        let strides = strides.unwrap_or_else(|| contiguous(shape));
        let mut plane = [(1_i128, 0_i128); 2];
        for (slot, (dim, stride)) in plane.iter_mut().rev().zip(shape.iter().zip(&strides).rev()) {
            *slot = (i128::from(*dim), if *dim > 1 { i128::from(*stride) } else { 0 });
        }
        let item = item as i128;
        let reach = |(dim, stride): (i128, i128)| stride * (dim - 1).max(0) * item;
        let below: i128 = plane.iter().map(|axis| reach(*axis).min(0)).sum();
        let above: i128 = plane.iter().map(|axis| reach(*axis).max(0)).sum();
        let (Ok(below), Ok(bytes), Ok(offset)) = (
            isize::try_from(below),
            isize::try_from(above - below + item),
            isize::try_from(tensor.byte_offset),
        ) else {
            return Ok(None);
        };
        let lowest = base.wrapping_offset(offset).wrapping_offset(below);
        if lowest.is_null() && !empty {
            return Ok(None);
        }
        Ok(Some(Self {
            kind,
            shape: dims,
            strides: plane.map(|(_, stride)| usize::try_from(stride.unsigned_abs()).unwrap_or(0)),
            flipped: plane.map(|(_, stride)| stride < 0),
            lowest,
            bytes: if empty { 0 } else { bytes.unsigned_abs() },
        }))
    }
}

/// The dtype, or its name where it is none of ours, and its size; None where NumPy has no such dtype.
fn dtype(tensor: &DlTensor) -> Option<(Result<Kind, String>, usize)> {
    let bits = tensor.bits;
    let named = |name: &str| Err(format!("{name}{bits}"));
    let kind = match (tensor.code, bits) {
        (2, 32) => Ok(Kind::F32),
        (2, 64) => Ok(Kind::F64),
        (2, 16) => Ok(Kind::F16),
        (4, 16) => Ok(Kind::Bf16),
        (0, 8 | 16 | 32 | 64) => named("int"),
        (1, 8 | 16 | 32 | 64) => named("uint"),
        (5, 64 | 128) => named("complex"),
        (6, 8) => Err("bool".to_owned()),
        _ => return None,
    };
    (tensor.lanes == 1).then_some((kind, usize::from(bits) / 8))
}

/// Strides of C order. The product of the sizes is known to fit.
fn contiguous(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1_i64; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i].max(1));
    }
    strides
}

/// CPU memory, pinned for a GPU or not.
pub fn check_device(device_type: i32, device_id: i32) -> PyResult<()> {
    let name = match device_type {
        1 | 3 | 11 => return Ok(()),
        2 => "cuda",
        8 => "metal",
        10 => "rocm",
        14 => "xpu",
        other => &format!("device {other}"),
    };
    Err(type_error(format!("logits must be on the CPU, got {name}:{device_id}; pass logits.cpu()")))
}
