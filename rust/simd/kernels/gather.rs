//! Logits and their positions, picked from a row or from among others.

use super::parts::{align, padded, split};
use crate::simd::vector::Vector;

#[inline(always)]
pub fn gather_between<V: Vector>(
    row: &[f32],
    (low, high): (f32, f32),
    base: usize,
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    let mut count = xs.len();
    gather::<V>(row, low, high, base, &mut count, xs, ids);
    xs.truncate(count);
    ids.truncate(count);
}

#[inline(always)]
pub fn gather<V: Vector>(
    row: &[f32],
    low: f32,
    high: f32,
    base: usize,
    count: &mut usize,
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    let (low, high) = (V::splat(low), V::splat(high));
    let (head, body) = align::<V>(row);
    let (whole, rest) = split::<V>(body);
    gather_part(head, low, high, base, count, xs, ids);
    let base = base + head.len();
    for (i, chunk) in whole.chunks_exact(V::LANES).enumerate() {
        let x = V::load(chunk);
        let bits = x.bits_at_least(low) & high.bits_at_least(x);
        if bits != 0 {
            append(x, bits, base + i * V::LANES, count, xs, ids);
        }
    }
    gather_part(rest, low, high, base + whole.len(), count, xs, ids);
}

/// [`gather`] from less than a vector.
#[inline(always)]
pub fn gather_part<V: Vector>(
    part: &[f32],
    low: V,
    high: V,
    base: usize,
    count: &mut usize,
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    if part.is_empty() {
        return;
    }
    let x: V = padded(part);
    // A bound of -inf would find the padding too.
    let bits = x.bits_at_least(low) & high.bits_at_least(x) & ((1 << part.len()) - 1);
    if bits != 0 {
        append(x, bits, base, count, xs, ids);
    }
}

/// Appends the positions of the logits within the closed bounds.
#[inline(always)]
pub fn positions_between<V: Vector>(xs: &[f32], (low, high): (f32, f32), positions: &mut Vec<u32>) {
    let (low, high) = (V::splat(low), V::splat(high));
    let (whole, rest) = split::<V>(xs);
    let mut count = positions.len();
    for (i, x) in whole.chunks_exact(V::LANES).enumerate() {
        let x = V::load(x);
        let bits = x.bits_at_least(low) & high.bits_at_least(x);
        if bits != 0 {
            append_positions::<V>(bits, i * V::LANES, &mut count, positions);
        }
    }
    let x: V = padded(rest);
    let bits = x.bits_at_least(low) & high.bits_at_least(x) & ((1 << rest.len()) - 1);
    append_positions::<V>(bits, whole.len(), &mut count, positions);
    positions.truncate(count);
}

/// Writes the positions of the set bits behind the first `count` elements.
#[inline(always)]
fn append_positions<V: Vector>(bits: u32, at: usize, count: &mut usize, positions: &mut Vec<u32>) {
    if positions.len() < *count + V::LANES {
        positions.resize((*count + V::LANES).max(2 * positions.len()), 0);
    }
    V::compress_positions(bits, at as u32, &mut positions[*count..]);
    *count += bits.count_ones() as usize;
}

/// Appends the marked logits and their positions: one bit a logit, 32 in a word.
#[inline(always)]
pub fn gather_marked<V: Vector>(row: &[f32], marks: &[u32], xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    let marked: usize = marks.iter().map(|word| word.count_ones() as usize).sum();
    let mut count = xs.len();
    xs.resize(count + marked, 0.0);
    ids.resize(count + marked, 0);
    for (at, word) in marks.iter().enumerate() {
        let mut word = *word;
        while word != 0 {
            let id = at * 32 + word.trailing_zeros() as usize;
            (xs[count], ids[count]) = (row[id], id as u32);
            count += 1;
            word &= word - 1;
        }
    }
}

/// Writes the lanes of the set bits and their positions behind the first `count` elements.
#[inline(always)]
fn append<V: Vector>(x: V, bits: u32, at: usize, count: &mut usize, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    if xs.len() < *count + V::LANES {
        grow(*count + V::LANES, xs, ids);
    }
    x.compress(bits, &mut xs[*count..]);
    V::compress_positions(bits, at as u32, &mut ids[*count..]);
    *count += bits.count_ones() as usize;
}

/// In place: what is written never lies beyond what has been read.
#[inline(always)]
pub fn retain_at_least<V: Vector>(cut: f32, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    let bound = V::splat(cut);
    let whole = xs.len() / V::LANES * V::LANES;
    let mut count = 0;
    for at in (0..whole).step_by(V::LANES) {
        let x = V::load(&xs[at..]);
        let bits = x.bits_at_least(bound);
        x.compress(bits, &mut xs[count..]);
        V::compress_ids(bits, ids, at, count);
        count += bits.count_ones() as usize;
    }
    for at in whole..xs.len() {
        (xs[count], ids[count]) = (xs[at], ids[at]);
        count += usize::from(xs[at] >= cut);
    }
    xs.truncate(count);
    ids.truncate(count);
}

/// Room for `least` elements and, by doubling, for more, as a push would make.
#[cold]
fn grow(least: usize, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    let room = least.max(2 * xs.len()).max(64);
    xs.resize(room, 0.0);
    ids.resize(room, 0);
}
