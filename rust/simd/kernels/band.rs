//! What a wide nucleus asks of a row: sums above and inside a band of logits.

use super::parts::{RUN, align, least_lane, padded, split, sum_of_lanes};
use super::weights::{BLOCK, SUMMED, Sum, weight};
use crate::simd::vector::Vector;

/// Exact: gives sum(W) of the row, and writes the sums of W over the logits above the closed band `(low, high)`,
/// one for each `SUMMED` logits, and a bit for each logit inside the band, 32 in a word.
#[inline(always)]
pub fn sum_above_and_mark<V: Vector>(
    row: &[f32],
    maximum: f32,
    scale: f32,
    (low, high): (f32, f32),
    sums: &mut Vec<u64>,
    marks: &mut Vec<u32>,
) -> u64 {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    let (low, high) = (V::splat(low), V::splat(high));
    sums.resize(row.len().div_ceil(SUMMED), 0);
    marks.resize(row.len().div_ceil(32), 0);
    let mut all = Sum::<V>::new();
    for ((block, sum), marks) in row.chunks(SUMMED).zip(sums.iter_mut()).zip(marks.chunks_mut(SUMMED / 32)) {
        let mut above = Sum::<V>::new();
        let (words, rest) = block.as_chunks::<32>();
        let parts = words.chunks(BLOCK * V::LANES / 32).zip(marks.chunks_mut(BLOCK * V::LANES / 32));
        for (part, marks) in parts {
            let runs = part.chunks(RUN * V::LANES / 32).zip(marks.chunks_mut(RUN * V::LANES / 32));
            for (run, marks) in runs {
                for (word, mark) in run.iter().zip(marks) {
                    *mark = add_word(word, m, c, low, high, &mut all, &mut above);
                }
                all.end_run();
                above.end_run();
            }
            all.end_block();
            above.end_block();
        }
        if let (false, Some(mark)) = (rest.is_empty(), marks.last_mut()) {
            let mut word = [f32::NEG_INFINITY; 32];
            word[..rest.len()].copy_from_slice(rest);
            *mark = add_word(&word, m, c, low, high, &mut all, &mut above);
        }
        *sum = above.total();
    }
    all.total()
}

/// Adds 32 weights to both sums, and gives a bit for each that is inside the band.
#[inline(always)]
fn add_word<V: Vector>(
    word: &[f32; 32],
    m: V,
    c: V,
    low: V,
    high: V,
    all: &mut Sum<V>,
    above: &mut Sum<V>,
) -> u32 {
    let mut mark = 0;
    for (i, x) in word.chunks_exact(V::LANES).enumerate() {
        let x = V::load(x);
        let is_above = x.is_above(high);
        all.add_both(weight::<V, false>(x, m, c), above, is_above);
        mark |= (x.bits_at_least(low) & !V::bits(is_above)) << (i * V::LANES);
    }
    mark
}

/// How many logits are below `bound`.
#[inline(always)]
pub fn count_below<V: Vector>(row: &[f32], bound: f32) -> usize {
    let (below, one) = (V::splat(bound), V::splat(1.0));
    let (head, row) = align::<V>(row);
    let (whole, rest) = split::<V>(row);
    // In float32, exact up to 2**24 in a lane.
    let (mut even, mut odd) = (V::splat(0.0), V::splat(0.0));
    let mut pairs = whole.chunks_exact(2 * V::LANES);
    for pair in &mut pairs {
        even = even.add_where(one, below.is_above(V::load(pair)));
        odd = odd.add_where(one, below.is_above(V::load(&pair[V::LANES..])));
    }
    for x in pairs.remainder().chunks_exact(V::LANES) {
        even = even.add_where(one, below.is_above(V::load(x)));
    }
    let mut count = V::wide_sum(odd.add_to_wide(even.add_to_wide(V::wide_zero()))) as usize;
    for part in [head, rest] {
        for x in part {
            count += usize::from(*x < bound);
        }
    }
    count
}

/// The sum of the weights of the logits below `bound`, rounded, and the least of the other logits.
#[inline(always)]
pub fn sum_below<V: Vector>(xs: &[f32], weights: &[f32], bound: f32) -> (f32, f32) {
    let below = V::splat(bound);
    let (mut even, mut odd) = (V::splat(0.0), V::splat(0.0));
    let (mut next, mut other) = (V::splat(f32::INFINITY), V::splat(f32::INFINITY));
    let (whole, rest) = xs.split_at(xs.len() / (2 * V::LANES) * (2 * V::LANES));
    for (x, v) in whole.chunks_exact(2 * V::LANES).zip(weights.chunks_exact(2 * V::LANES)) {
        let (a, b) = (V::load(x), V::load(&x[V::LANES..]));
        let (a_below, b_below) = (below.is_above(a), below.is_above(b));
        even = even.add_where(V::load(v), a_below);
        odd = odd.add_where(V::load(&v[V::LANES..]), b_below);
        next = next.min_unless(a, a_below);
        other = other.min_unless(b, b_below);
    }
    let (mut sum, mut next) = (sum_of_lanes(even.add(odd)), least_lane(next.min(other)));
    for (x, v) in rest.iter().zip(&weights[whole.len()..]) {
        if *x < bound {
            sum += v;
        } else {
            next = if *x < next { *x } else { next };
        }
    }
    (sum, next)
}

/// The sum of the integer weights rint(v) of the logits above `bound`: exact.
#[inline(always)]
pub fn sum_above<V: Vector>(xs: &[f32], weights: &[f32], bound: f32) -> u64 {
    let mut sum = Sum::<V>::new();
    let bound = V::splat(bound);
    let size = BLOCK * V::LANES;
    for (xs, weights) in xs.chunks(size).zip(weights.chunks(size)) {
        let size = RUN * V::LANES;
        for (xs, weights) in xs.chunks(size).zip(weights.chunks(size)) {
            let ((xs, rest), (weights, weights_rest)) = (split::<V>(xs), split::<V>(weights));
            for (x, v) in xs.chunks_exact(V::LANES).zip(weights.chunks_exact(V::LANES)) {
                sum.add(V::splat(0.0).add_where(V::load(v), V::load(x).is_above(bound)));
            }
            if !rest.is_empty() {
                // A padded logit is above no bound.
                sum.add(V::splat(0.0).add_where(padded(weights_rest), padded::<V>(rest).is_above(bound)));
            }
            sum.end_run();
        }
        sum.end_block();
    }
    sum.total()
}

/// The sum of the squares of the weights of the logits below `bound`, rounded; of whole vectors alone.
#[inline(always)]
pub fn sum_squares_below<V: Vector>(xs: &[f32], weights: &[f32], bound: f32) -> f32 {
    let bound = V::splat(bound);
    let mut sum = V::splat(0.0);
    for (x, v) in xs.chunks_exact(V::LANES).zip(weights.chunks_exact(V::LANES)) {
        let v = V::load(v);
        sum = sum.add_where(v.mul(v), bound.is_above(V::load(x)));
    }
    sum_of_lanes(sum)
}
