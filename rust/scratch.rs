//! Buffers that are kept from call to call, one set per thread.

use std::cell::RefCell;

/// The buffers of one row's work. What they hold between calls is unspecified.
#[derive(Default)]
pub struct Scratch {
    /// Logits of the tokens still kept, in id order.
    pub xs: Vec<f32>,
    /// Their ids.
    pub ids: Vec<u32>,
    /// Float weights.
    pub weights: Vec<f32>,
    /// Sums of integer weights over blocks.
    pub sums: Vec<u64>,
    /// Positions that a selection has narrowed down to.
    pub members: Vec<u32>,
}

/// Runs `work` with this thread's buffers.
pub fn with<R>(work: impl FnOnce(&mut Scratch) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Scratch> = RefCell::default());
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => work(&mut scratch),
        // A nested use gets buffers of its own.
        Err(_) => work(&mut Scratch::default()),
    })
}
