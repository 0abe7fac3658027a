//! Buffers that are kept from call to call, one set per thread.

use std::cell::RefCell;

use crate::adjust::Shaped;
use crate::cuts::Buffers;
use crate::simd::Cells;

/// The buffers of one row's work. What they hold between calls is unspecified.
#[derive(Default)]
pub struct Scratch {
    /// A row copied to contiguous float32.
    pub row: Vec<f32>,
    /// A row as it came, as float32, if that is asked for.
    pub given: Vec<f32>,
    /// What masks, biases and penalties do to a row.
    pub shaped: Shaped,
    /// Logits of the tokens still kept, in id order.
    pub xs: Vec<f32>,
    /// Their ids.
    pub ids: Vec<u32>,
    /// Float weights.
    pub weights: Vec<f32>,
    /// Rounded sums of float weights over cells, or the largest logits of them.
    pub cells: Cells,
    /// Sums of integer weights over blocks.
    pub sums: Vec<u64>,
    /// One bit a logit.
    pub marks: Vec<u32>,
    /// Positions that a selection has narrowed down to.
    pub members: Vec<u32>,
    /// What a cut works in.
    pub cut: Buffers,
}

/// Runs `work` with this thread's buffers; a nested use gets fresh ones.
pub fn with<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => work(&mut scratch),
        Err(_) => work(&mut Scratch::default()),
    })
}
