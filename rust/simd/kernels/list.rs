//! What a long list of a row's logits asks: to be gathered, and what is beside it to be weighed.

use super::parts::{align, padded, split};
use super::survey::rough_weight;
use crate::simd::vector::Vector;

/// Vectors that are looked at together.
const GROUP: usize = 4;

/// Puts the logits of at least `low`, above -inf, into `xs` and their positions into `ids`, in order. There are many,
/// so no branch asks whether a vector has one: that could not be guessed.
#[inline(always)]
pub fn list_at_least<V: Vector>(row: &[f32], low: f32, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    let bound = V::splat(low);
    let (head, body) = align::<V>(row);
    let mut count = 0;
    reserve(GROUP * V::LANES, xs, ids);
    append_part(head, bound, 0, &mut count, xs, ids);
    let mut at = head.len();
    let mut groups = body.chunks_exact(GROUP * V::LANES);
    for group in &mut groups {
        reserve(count + GROUP * V::LANES, xs, ids);
        for x in group.chunks_exact(V::LANES) {
            let x = V::load(x);
            append(x, x.bits_at_least(bound), at, &mut count, xs, ids);
            at += V::LANES;
        }
    }
    reserve(count + GROUP * V::LANES, xs, ids);
    let (whole, rest) = split::<V>(groups.remainder());
    for x in whole.chunks_exact(V::LANES) {
        let x = V::load(x);
        append(x, x.bits_at_least(bound), at, &mut count, xs, ids);
        at += V::LANES;
    }
    append_part(rest, bound, at, &mut count, xs, ids);
    xs.truncate(count);
    ids.truncate(count);
}

/// Writes the lanes of the set bits and their positions behind the first `count` elements, where there is room.
#[inline(always)]
fn append<V: Vector>(x: V, bits: u32, at: usize, count: &mut usize, xs: &mut [f32], ids: &mut [u32]) {
    x.compress(bits, &mut xs[*count..]);
    V::compress_positions(bits, at as u32, &mut ids[*count..]);
    *count += bits.count_ones() as usize;
}

/// The same of less than a vector.
#[inline(always)]
fn append_part<V: Vector>(
    part: &[f32],
    bound: V,
    at: usize,
    count: &mut usize,
    xs: &mut [f32],
    ids: &mut [u32],
) {
    let x: V = padded(part);
    append(x, x.bits_at_least(bound) & ((1 << part.len()) - 1), at, count, xs, ids);
}

/// Room for so many elements, and for some more: it is filled with zeros, so not for many more.
#[inline(always)]
fn reserve(least: usize, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    if xs.len() < least || ids.len() < least {
        grow(least + 1024, xs, ids);
    }
}

#[cold]
fn grow(room: usize, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    xs.resize(room, 0.0);
    ids.resize(room, 0);
}

/// The sum of the values, in float64.
#[inline(always)]
pub fn sum_wide<V: Vector>(values: &[f32]) -> f64 {
    let (whole, rest) = split::<V>(values);
    let mut total = V::wide_zero();
    for values in whole.chunks_exact(V::LANES) {
        total = V::load(values).add_to_wide(total);
    }
    V::wide_sum_f64(total) + rest.iter().map(|value| f64::from(*value)).sum::<f64>()
}

/// The sum of the rough weights, in float64.
#[inline(always)]
pub fn sum_rough_weights<V: Vector>(xs: &[f32], scale: f32, shift: f32) -> f64 {
    let (c, k) = (V::splat(scale), V::splat(shift));
    let (whole, rest) = split::<V>(xs);
    let mut total = rough_weight::<V>(padded(rest), c, k).add_to_wide(V::wide_zero());
    for x in whole.chunks_exact(V::LANES) {
        total = rough_weight(V::load(x), c, k).add_to_wide(total);
    }
    V::wide_sum_f64(total)
}
