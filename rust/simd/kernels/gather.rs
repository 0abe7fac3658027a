//! Logits and their positions, picked from a row or from among others.

use super::parts::{padded, split, split_head};
use crate::simd::source::{Element, Logits, Reader, Source, read};
use crate::simd::vector::Vector;

#[inline(always)]
pub fn gather_between<V: Vector>(
    row: &[f32],
    bounds: (f32, f32),
    base: usize,
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    gather_from_reader::<V, _>(row, bounds, base, xs, ids);
}

#[inline(always)]
pub fn gather_from_source<V: Vector>(
    source: Source<'_>,
    bounds: (f32, f32),
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    read!(source, reader => gather_from_reader::<V, _>(reader, bounds, 0, xs, ids));
}

#[inline(always)]
fn gather_from_reader<V: Vector, R: Reader>(
    reader: R,
    (low, high): (f32, f32),
    base: usize,
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    let mut count = xs.len();
    let bounds = (V::splat(low), V::splat(high));
    let (head, body) = split_head::<V, _>(reader);
    gather_part(head, bounds, base, &mut count, xs, ids);
    gather_vectors(body, bounds, base + head.len(), &mut count, xs, ids);
    xs.truncate(count);
    ids.truncate(count);
}

/// The logits within the bounds into the buffers, behind the first `count` elements.
#[inline(always)]
pub fn gather_vectors<V: Vector, R: Reader>(
    reader: R,
    (low, high): (V, V),
    base: usize,
    count: &mut usize,
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    let whole = reader.len() / V::LANES * V::LANES;
    for at in (0..whole).step_by(V::LANES) {
        let x: V = reader.vector(at);
        let bits = x.bits_at_least(low) & high.bits_at_least(x);
        if bits != 0 {
            append(x, bits, base + at, count, xs, ids);
        }
    }
    gather_part(reader.part(whole, reader.len() - whole), (low, high), base + whole, count, xs, ids);
}

/// [`gather_vectors`] from less than a vector.
#[inline(always)]
pub fn gather_part<V: Vector, R: Reader>(
    part: R,
    (low, high): (V, V),
    base: usize,
    count: &mut usize,
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    if part.len() == 0 {
        return;
    }
    let x: V = part.padded();
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
    gather_marked_from::<V, _>(row, marks, xs, ids);
}

#[inline(always)]
pub fn gather_allowed<V: Vector>(logits: Logits<'_>, words: &[u32], xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    match logits {
        Logits::F32(row) => gather_marked_from::<V, _>(row, words, xs, ids),
        Logits::F16(row) => gather_marked_from::<V, _>(row, words, xs, ids),
        Logits::Bf16(row) => gather_marked_from::<V, _>(row, words, xs, ids),
    }
}

#[inline(always)]
fn gather_marked_from<V: Vector, T: Element>(
    row: &[T],
    marks: &[u32],
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    let marked = count_bits::<V>(marks);
    let mut count = xs.len();
    xs.resize(count + marked, 0.0);
    ids.resize(count + marked, 0);
    for (at, word) in marks.iter().enumerate() {
        let mut word = *word;
        while word != 0 {
            let id = at * 32 + word.trailing_zeros() as usize;
            (xs[count], ids[count]) = (row[id].widened(), id as u32);
            count += 1;
            word &= word - 1;
        }
    }
}

#[inline(always)]
pub fn count_bits<V: Vector>(words: &[u32]) -> usize {
    words.iter().map(|word| word.count_ones() as usize).sum()
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
