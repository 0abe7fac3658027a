//! The law's weights, and exact sums of them.

use super::parts::{RUN, align, padded, split, store_part};
use crate::law::{COEFFICIENTS, LOWEST_EXPONENT, UNIT};
use crate::simd::vector::Vector;

/// Where the running sum of [`Sum`] starts: 1.5 * 2**48.
const START: f32 = 422_212_465_065_984.0;

/// Logits whose weights are summed together for a draw.
pub const SUMMED: usize = 1024;

/// Vectors whose low parts an int32 can take: 64 * 2**24 = 2**30.
pub const BLOCK: usize = 64;

/// The law's weight as v = w * 2**43: y = (x - m) * c, 2**y by a polynomial on y - rint(y). The factor 2**43
/// stands in the coefficients: scaling by a power of two changes no rounding. Where y < -100, v is any value
/// below 2**-56, which is no integer weight; with `EXACT` it is 0.
#[inline(always)]
pub fn weight<V: Vector, const EXACT: bool>(x: V, maximum: V, scale: V) -> V {
    let lowest = V::splat(LOWEST_EXPONENT);
    let y = x.sub(maximum).mul(scale);
    let near = if V::SCALES_ANY || EXACT { y } else { y.max(lowest) };
    let (n, power) = near.rint();
    let f = near.sub(n);
    let mut q = V::splat(COEFFICIENTS[0] * UNIT as f32);
    for coefficient in &COEFFICIENTS[1..] {
        q = q.fma(f, V::splat(coefficient * UNIT as f32));
    }
    let v = q.times(power);
    if EXACT { v.or_zero_below(y, lowest) } else { v }
}

/// The exact sum of the integer weights rint(v), in float32 and int32 alone.
///
/// A weight v is added to a running sum a that starts at 1.5 * 2**48, where floats are multiples of 2**25:
/// t = a + v rounds v to `part` = t - a, exactly, and leaves v - `part`, exactly and at most 2**24. As `part`
/// is an even integer, rint(v) = part + rint(v - part), also half to even. So `running` collects the parts,
/// `low` the rest, and both are moved out before they can be inexact.
pub struct Sum<V: Vector> {
    running: V,
    low: V::Lows,
    highs: V::Wide,
    lows: V::Wide,
}

impl<V: Vector> Sum<V> {
    #[inline(always)]
    pub fn new() -> Self {
        Self { running: V::splat(START), low: V::lows_zero(), highs: V::wide_zero(), lows: V::wide_zero() }
    }

    #[inline(always)]
    pub fn add(&mut self, v: V) {
        let moved = self.running.add(v);
        let part = moved.sub(self.running);
        self.low = V::add_lows(self.low, v.sub(part).rounded());
        self.running = moved;
    }

    /// Adds v to this sum, and in the lanes of the mask to another: its parts are the same.
    #[inline(always)]
    pub fn add_both(&mut self, v: V, other: &mut Self, mask: V::Mask) {
        let moved = self.running.add(v);
        let part = moved.sub(self.running);
        let low = v.sub(part).rounded();
        self.low = V::add_lows(self.low, low);
        self.running = moved;
        other.low = V::add_lows_where(other.low, low, mask);
        other.running = other.running.add_where(part, mask);
    }

    /// Needed after every `RUN` vectors.
    #[inline(always)]
    pub fn end_run(&mut self) {
        self.highs = self.running.sub(V::splat(START)).add_to_wide(self.highs);
        self.running = V::splat(START);
    }

    /// Needed after every `BLOCK` vectors.
    #[inline(always)]
    pub fn end_block(&mut self) {
        self.lows = V::add_lows_to_wide(self.low, self.lows);
        self.low = V::lows_zero();
    }

    #[inline(always)]
    pub fn total(mut self) -> u64 {
        self.end_run();
        self.end_block();
        V::wide_sum(self.highs).wrapping_add(V::wide_sum(self.lows))
    }
}

#[inline(always)]
pub fn sum_weights<V: Vector>(row: &[f32], maximum: f32, scale: f32) -> u64 {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    let (head, row) = align::<V>(row);
    let (whole, rest) = split::<V>(row);
    let mut sum = Sum::<V>::new();
    for block in whole.chunks(BLOCK * V::LANES) {
        for run in block.chunks(RUN * V::LANES) {
            for x in run.chunks_exact(V::LANES) {
                sum.add(weight::<V, false>(V::load(x), m, c));
            }
            sum.end_run();
        }
        sum.end_block();
    }
    for part in [head, rest] {
        if part.is_empty() {
            continue;
        }
        sum.add(weight::<V, false>(padded(part), m, c));
    }
    sum.total()
}

/// Writes sum(W) over each block of `SUMMED` logits.
#[inline(always)]
pub fn sum_blocks<V: Vector>(row: &[f32], maximum: f32, scale: f32, sums: &mut Vec<u64>) {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    sums.resize(row.len().div_ceil(SUMMED), 0);
    for (block, total) in row.chunks(SUMMED).zip(sums) {
        let (whole, rest) = split::<V>(block);
        let mut sum = Sum::<V>::new();
        for part in whole.chunks(BLOCK * V::LANES) {
            for run in part.chunks(RUN * V::LANES) {
                for x in run.chunks_exact(V::LANES) {
                    sum.add(weight::<V, false>(V::load(x), m, c));
                }
                sum.end_run();
            }
            sum.end_block();
        }
        if !rest.is_empty() {
            sum.add(weight::<V, false>(padded(rest), m, c));
        }
        *total = sum.total();
    }
}

#[inline(always)]
pub fn store_and_sum_weights<V: Vector>(row: &[f32], maximum: f32, scale: f32, out: &mut [f32]) -> u64 {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    let (out_head, out) = out.split_at_mut(align::<V>(out).0.len()); // a store that straddles lines costs more
    let (head, row) = row.split_at(out_head.len());
    let (whole, rest) = split::<V>(row);
    let (out, out_rest) = out.split_at_mut(whole.len());
    let mut sum = Sum::<V>::new();
    for (block, out) in whole.chunks(BLOCK * V::LANES).zip(out.chunks_mut(BLOCK * V::LANES)) {
        for (run, out) in block.chunks(RUN * V::LANES).zip(out.chunks_mut(RUN * V::LANES)) {
            for (x, out) in run.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES)) {
                let v = weight::<V, true>(V::load(x), m, c);
                v.store(out);
                sum.add(v);
            }
            sum.end_run();
        }
        sum.end_block();
    }
    for (part, out) in [(head, out_head), (rest, out_rest)] {
        if part.is_empty() {
            continue;
        }
        let v = weight::<V, true>(padded(part), m, c);
        store_part(v, out);
        sum.add(v);
    }
    sum.total()
}

#[inline(always)]
pub fn store_weights<V: Vector>(row: &[f32], maximum: f32, scale: f32, out: &mut [f32]) {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    let (whole, rest) = split::<V>(row);
    let (out, out_rest) = out.split_at_mut(whole.len());
    for (x, out) in whole.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES)) {
        weight::<V, true>(V::load(x), m, c).store(out);
    }
    if !rest.is_empty() {
        store_part(weight::<V, true>(padded(rest), m, c), out_rest);
    }
}
