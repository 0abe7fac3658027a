//! The law's weights, and exact sums of them.

use super::parts::{RUN, align, padded, split, store_part};
use crate::law::{COEFFICIENTS, LOWEST_EXPONENT, UNIT};
use crate::simd::vector::Vector;

/// Where the running sum of [`Sum`] starts: 1.5 * 2**48.
const START: f32 = 422_212_465_065_984.0;

/// Vectors whose low parts an int32 can take: 64 * 2**24 = 2**30.
const BLOCK: usize = 64;

/// The law's weight as v = w * 2**43: y = (x - m) * c, 2**y by a polynomial on y - rint(y). The factor 2**43
/// stands in the coefficients: scaling by a power of two changes no rounding. Where y < -100, v is any value
/// below 2**-56, which is no integer weight; with `EXACT` it is 0.
#[inline(always)]
fn weight<V: Vector, const EXACT: bool>(x: V, maximum: V, scale: V) -> V {
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
struct Sum<V: Vector> {
    running: V,
    low: V::Lows,
    highs: V::Wide,
    lows: V::Wide,
}

impl<V: Vector> Sum<V> {
    #[inline(always)]
    fn new() -> Self {
        Self { running: V::splat(START), low: V::lows_zero(), highs: V::wide_zero(), lows: V::wide_zero() }
    }

    #[inline(always)]
    fn add(&mut self, v: V) {
        let moved = self.running.add(v);
        let part = moved.sub(self.running);
        self.low = v.sub(part).add_rounded(self.low);
        self.running = moved;
    }

    /// Needed after every `RUN` vectors.
    #[inline(always)]
    fn end_run(&mut self) {
        self.highs = self.running.sub(V::splat(START)).add_to_wide(self.highs);
        self.running = V::splat(START);
    }

    /// Needed after every `BLOCK` vectors.
    #[inline(always)]
    fn end_block(&mut self) {
        self.lows = V::add_lows_to_wide(self.low, self.lows);
        self.low = V::lows_zero();
    }

    #[inline(always)]
    fn total(mut self) -> u64 {
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

#[inline(always)]
pub fn store_and_sum_weights<V: Vector>(row: &[f32], maximum: f32, scale: f32, out: &mut [f32]) -> u64 {
    let (m, c) = (V::splat(maximum), V::splat(scale));
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
    if !rest.is_empty() {
        let v = weight::<V, true>(padded(rest), m, c);
        store_part(v, out_rest);
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

#[inline(always)]
pub fn sum_weights_and_above<V: Vector>(row: &[f32], maximum: f32, scale: f32, low: f32) -> (u64, u64) {
    let (m, c, low) = (V::splat(maximum), V::splat(scale), V::splat(low));
    let (head, row) = align::<V>(row);
    let (whole, rest) = split::<V>(row);
    let (mut all, mut above) = (Sum::<V>::new(), Sum::<V>::new());
    for block in whole.chunks(BLOCK * V::LANES) {
        for run in block.chunks(RUN * V::LANES) {
            for x in run.chunks_exact(V::LANES) {
                let x = V::load(x);
                let v = weight::<V, false>(x, m, c);
                all.add(v);
                above.add(v.or_zero_below(x, low));
            }
            all.end_run();
            above.end_run();
        }
        all.end_block();
        above.end_block();
    }
    for part in [head, rest] {
        if part.is_empty() {
            continue;
        }
        let x = padded(part);
        let v = weight::<V, false>(x, m, c);
        all.add(v);
        above.add(v.or_zero_below(x, low));
    }
    (all.total(), above.total())
}
