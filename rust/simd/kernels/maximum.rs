//! The largest logit.

use super::parts::{align, padded, split};
use crate::simd::vector::Vector;

/// What the maximum pass finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maximum {
    /// The largest logit; unspecified where the row holds a NaN.
    pub logit: f32,
    /// Whether the row holds a NaN.
    pub has_nan: bool,
}
#[inline(always)]
pub fn maximum<V: Vector>(row: &[f32]) -> Maximum {
    // Four independent chains hide the latency of max; NaN is looked for apart, two vectors at a time,
    // since a maximum may lose it.
    let mut best = [V::splat(f32::NEG_INFINITY); 4];
    let mut unordered = V::none();
    let (head, row) = align::<V>(row);
    let mut chunks = row.chunks_exact(4 * V::LANES);
    for chunk in &mut chunks {
        let (a, b) = (V::load(chunk), V::load(&chunk[V::LANES..]));
        let (c, d) = (V::load(&chunk[2 * V::LANES..]), V::load(&chunk[3 * V::LANES..]));
        best = [best[0].max(a), best[1].max(b), best[2].max(c), best[3].max(d)];
        unordered = V::or(unordered, V::or(a.is_unordered(b), c.is_unordered(d)));
    }
    let (whole, rest) = split::<V>(chunks.remainder());
    for chunk in whole.chunks_exact(V::LANES) {
        let x = V::load(chunk);
        best[0] = best[0].max(x);
        unordered = V::or(unordered, x.is_unordered(x));
    }
    for part in [head, rest] {
        if part.is_empty() {
            continue;
        }
        let x: V = padded(part);
        best[0] = best[0].max(x);
        unordered = V::or(unordered, x.is_unordered(x));
    }
    let best = best[0].max(best[1]).max(best[2].max(best[3]));
    let mut lanes = [f32::NEG_INFINITY; 16];
    best.store(&mut lanes);
    let logit = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    Maximum { logit, has_nan: V::any(unordered) }
}
