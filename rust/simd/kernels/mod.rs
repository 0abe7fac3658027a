//! The passes, written once over [`Vector`](super::vector::Vector). What does not fill a vector is padded with
//! `-inf`, which weighs nothing and is never the larger.
//!
//! No closures here: a kernel is compiled for its level only as far as everything is inlined into it, and the
//! compiler may leave a closure out.

mod band;
mod entropy;
mod gather;
mod list;
mod maximum;
mod parts;
mod survey;
mod weights;
mod write;

pub use band::{count_below, sum_above, sum_above_and_mark, sum_below, sum_squares_below};
pub use entropy::store_parts;
pub use gather::{
    count_bits, gather_allowed, gather_between, gather_from_source, gather_marked, positions_between,
    retain_at_least,
};
pub use list::{list_at_least, sum_rough_weights, sum_wide};
pub use maximum::{Maximum, maximum, maximum_of, peaks};
pub use survey::{
    ROUGH_ERROR, Surveyed, add_to_cells, block_at_mass, gather_from_cells, maximum_from_cells,
    store_rough_weights, sum_hot, survey,
};
pub use weights::{SUMMED, store_and_sum_weights, store_weights, sum_blocks, sum_weights};
pub use write::{multiply, store_log_probs, store_source};
