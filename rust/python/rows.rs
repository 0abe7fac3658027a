//! Rows of logits as the kernels read them: contiguous, in their own type where a kernel takes it, else float32.
//! Nothing here knows of Python, so it works with the GIL released and from many threads.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use numpy::ndarray::{ArrayView1, ArrayView2};

use crate::error::Error;
use crate::simd::Logits;

/// Cells as they lie in memory, with any strides.
#[derive(Clone, Copy)]
pub enum Cells<'a> {
    F32(ArrayView2<'a, f32>),
    F64(ArrayView2<'a, f64>),
    F16(ArrayView2<'a, f16>),
    /// bfloat16 by its bits: rust-numpy panics on bf16 arrays where ml_dtypes is not imported.
    Bf16(ArrayView2<'a, u16>),
}

/// The element types a row may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    F32,
    F64,
    F16,
    Bf16,
}

/// All rows of one call.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    cells: Cells<'a>,
}

impl<'a> Rows<'a> {
    /// The rows of these cells.
    pub fn new(cells: Cells<'a>) -> Self {
        Self { cells }
    }

    /// The same rows for a shorter time: ndarray's views do not shorten by themselves.
    pub fn reborrow(&self) -> Rows<'_> {
        let cells = match &self.cells {
            Cells::F32(cells) => Cells::F32(cells.reborrow()),
            Cells::F64(cells) => Cells::F64(cells.reborrow()),
            Cells::F16(cells) => Cells::F16(cells.reborrow()),
            Cells::Bf16(cells) => Cells::Bf16(cells.reborrow()),
        };
        Rows { cells }
    }

    /// Row `i`: borrowed where it is float32 with stride 1, else widened or copied into `scratch`. A finite
    /// float64 that is infinite as a float32 reads as `+inf`, which no check lets pass.
    pub fn row<'s>(&'s self, i: usize, scratch: &'s mut Vec<f32>) -> &'s [f32] {
        match &self.cells {
            Cells::F32(cells) => match cells.row(i).to_slice() {
                Some(row) => return row,
                None => copy(scratch, cells.row(i), |x| x),
            },
            Cells::F64(cells) => copy(scratch, cells.row(i), round),
            Cells::F16(cells) => match cells.row(i).to_slice() {
                Some(row) => {
                    scratch.resize(row.len(), 0.0);
                    row.convert_to_f32_slice(scratch);
                }
                None => copy(scratch, cells.row(i), f16::to_f32),
            },
            Cells::Bf16(cells) => copy(scratch, cells.row(i), |bits| f32::from_bits(u32::from(bits) << 16)),
        }
        scratch
    }

    /// Row `i` as it lies in memory, where it is float32, float16 or bfloat16 with stride 1; else as [`Self::row`].
    pub fn logits<'s>(&'s self, i: usize, scratch: &'s mut Vec<f32>) -> Logits<'s> {
        let narrow = match &self.cells {
            Cells::F16(cells) => cells.row(i).to_slice().map(Logits::F16),
            Cells::Bf16(cells) => cells.row(i).to_slice().map(|bits| Logits::Bf16(bits.reinterpret_cast())),
            Cells::F32(_) | Cells::F64(_) => None,
        };
        narrow.unwrap_or_else(|| Logits::F32(self.row(i, scratch)))
    }

    /// An error about a logit, with the value that was given.
    pub fn restore(&self, error: Error) -> Error {
        match (&self.cells, error) {
            (Cells::F64(cells), Error::Logit { row, token, value }) => {
                Error::Logit { row, token, value: cells.get([row, token]).copied().unwrap_or(value) }
            }
            (_, error) => error,
        }
    }

    /// Where element (0, 0) lies and how many elements on the next row and the next token are, for
    /// float32 cells alone.
    pub fn place(&self) -> Option<(*const f32, [isize; 2])> {
        match &self.cells {
            Cells::F32(cells) if !cells.is_empty() => {
                Some((cells.as_ptr(), [cells.strides()[0], cells.strides()[1]]))
            }
            _ => None,
        }
    }
}

/// `row` through `widen` into `scratch`.
fn copy<T: Copy>(scratch: &mut Vec<f32>, row: ArrayView1<'_, T>, widen: impl Fn(T) -> f32) {
    scratch.clear();
    match row.to_slice() {
        Some(row) => scratch.extend(row.iter().map(|x| widen(*x))),
        None => scratch.extend(row.iter().map(|x| widen(*x))),
    }
}

/// float64 rounded to float32, half to even; `+inf` for what is finite and too large.
fn round(x: f64) -> f32 {
    let rounded = x as f32;
    if rounded.is_infinite() && x.is_finite() { f32::INFINITY } else { rounded }
}
