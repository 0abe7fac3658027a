//! A chain's result as logits: what is kept as it came, every other token at -inf.

use crate::chain::Kept;

/// Writes the row with every token outside the kept set at -inf into `out`, of the row's length.
pub fn store_kept(kept: &Kept<'_>, out: &mut [f32]) {
    if kept.is_whole_row() {
        out.copy_from_slice(kept.row());
        return;
    }
    out.fill(f32::NEG_INFINITY);
    for (id, x) in kept.tokens() {
        out[id] = x;
    }
}
