//! How a kernel takes a row apart: an unaligned head, whole vectors, a padded rest.

use crate::simd::source::Reader;
use crate::simd::vector::Vector;

/// Vectors that make a block of cells, and that a running sum can take.
pub const RUN: usize = 16;

#[inline(always)]
pub fn padded<V: Vector>(rest: &[f32]) -> V {
    let mut lanes = [f32::NEG_INFINITY; 16];
    lanes[..rest.len()].copy_from_slice(rest);
    V::load(&lanes)
}

/// The logits up to the first that begins an aligned vector, and from there on: see [`Reader::head`].
#[inline(always)]
pub fn split_head<V: Vector, R: Reader>(reader: R) -> (R, R) {
    let head = reader.head::<V>(RUN * V::LANES);
    (reader.part(0, head), reader.part(head, reader.len() - head))
}

/// The same of a float32 row.
#[inline(always)]
pub fn align<V: Vector>(row: &[f32]) -> (&[f32], &[f32]) {
    split_head::<V, _>(row)
}

/// The values in whole vectors, and the rest.
#[inline(always)]
pub fn split<V: Vector>(row: &[f32]) -> (&[f32], &[f32]) {
    row.split_at(row.len() / V::LANES * V::LANES)
}
/// Writes as many lanes as `out` has room for.
#[inline(always)]
pub fn store_part<V: Vector>(values: V, out: &mut [f32]) {
    let mut lanes = [0.0; 16];
    values.store(&mut lanes);
    out.copy_from_slice(&lanes[..out.len()]);
}

/// The sum of the lanes, rounded: halves are added, so that no long chain is waited for.
#[inline(always)]
pub fn sum_of_lanes<V: Vector>(values: V) -> f32 {
    let mut lanes = [0.0; 16];
    values.store(&mut lanes);
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

/// The smallest lane, likewise.
#[inline(always)]
pub fn least_lane<V: Vector>(values: V) -> f32 {
    let mut lanes = [f32::INFINITY; 16];
    values.store(&mut lanes);
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = if lanes[lane + half] < lanes[lane] { lanes[lane + half] } else { lanes[lane] };
        }
    }
    lanes[0]
}
