//! The passes, written once over [`Vector`]. What does not fill a vector is padded with `-inf`, which
//! weighs nothing and is never the larger, so every length takes the same path.

use super::vector::Vector;
use crate::law::{COEFFICIENTS, LOWEST_EXPONENT};

/// What the maximum pass finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maximum {
    /// The largest logit; unspecified where the row holds a NaN.
    pub logit: f32,
    /// Whether the row holds a NaN.
    pub has_nan: bool,
}

/// 2**43, what the float weight 1 is scaled to.
const UNIT: f32 = 8_796_093_022_208.0;

/// Where the running sum of [`sum`] starts: 1.5 * 2**48.
const START: f32 = 422_212_465_065_984.0;

/// Vectors whose weights a running sum can take before it leaves its binade: 16 * 2**43 = 2**47.
const RUN: usize = 16;

/// Runs whose low parts an int32 can take: 64 vectors of at most 2**24 each.
const RUNS: usize = 4;

/// The values as whole vectors, and a last padded one where some are left over.
#[inline(always)]
fn for_each_vector<V: Vector>(row: &[f32], mut visit: impl FnMut(usize, V)) {
    let mut chunks = row.chunks_exact(V::LANES);
    let mut at = 0;
    for chunk in &mut chunks {
        visit(at, V::load(chunk));
        at += V::LANES;
    }
    if !chunks.remainder().is_empty() {
        visit(at, padded(chunks.remainder()));
    }
}

#[inline(always)]
fn padded<V: Vector>(rest: &[f32]) -> V {
    let mut lanes = [f32::NEG_INFINITY; 16];
    lanes[..rest.len()].copy_from_slice(rest);
    V::load(&lanes)
}

#[inline(always)]
pub fn maximum<V: Vector>(row: &[f32]) -> Maximum {
    // Four independent chains hide the latency of max; NaN is looked for apart, two vectors at a time,
    // since a maximum may lose it.
    let mut best = [V::splat(f32::NEG_INFINITY); 4];
    let mut unordered = V::none();
    let mut chunks = row.chunks_exact(4 * V::LANES);
    for chunk in &mut chunks {
        let x: [V; 4] = std::array::from_fn(|i| V::load(&chunk[i * V::LANES..]));
        for (best, x) in best.iter_mut().zip(x) {
            *best = best.max(x);
        }
        unordered = V::or(unordered, V::or(x[0].is_unordered(x[1]), x[2].is_unordered(x[3])));
    }
    for_each_vector::<V>(chunks.remainder(), |_, x| {
        best[0] = best[0].max(x);
        unordered = V::or(unordered, x.is_unordered(x));
    });
    let best = best[0].max(best[1]).max(best[2].max(best[3]));
    let mut lanes = [f32::NEG_INFINITY; 16];
    best.store(&mut lanes);
    let logit = lanes.into_iter().fold(f32::NEG_INFINITY, f32::max);
    Maximum { logit, has_nan: V::any(unordered) }
}

/// The law's float weight: y = (x - m) * c, 2**y by a polynomial on y - rint(y), 0 below 2**-100.
#[inline(always)]
fn weight<V: Vector>(x: V, maximum: V, scale: V) -> V {
    let y = x.sub(maximum).mul(scale);
    let n = y.rint();
    let f = y.sub(n);
    let mut q = V::splat(COEFFICIENTS[0]);
    for coefficient in &COEFFICIENTS[1..] {
        q = q.fma(f, V::splat(*coefficient));
    }
    q.times_power_of_two(n).or_zero_below(y, V::splat(LOWEST_EXPONENT))
}

/// The exact sum of the integer weights rint(w * 2**43), in float32 and int32 alone.
///
/// A weight v = w * 2**43 is added to a running sum a that starts at 1.5 * 2**48, where floats are
/// multiples of 2**25: t = a + v rounds v to `part` = t - a, exactly, and leaves v - `part`, exactly and at
/// most 2**24. As `part` is an even integer, rint(v) = part + rint(v - part), also half to even. So `a`
/// collects the parts, int32 lanes the rest, and both are moved out before they can be inexact.
struct Sum<V: Vector> {
    highs: V::Wide,
    lows: V::Wide,
}

impl<V: Vector> Sum<V> {
    #[inline(always)]
    fn new() -> Self {
        Self { highs: V::wide_zero(), lows: V::wide_zero() }
    }

    /// Adds the weights of at most `RUNS * RUN` vectors, which `next` yields.
    #[inline(always)]
    fn add(&mut self, vectors: usize, mut next: impl FnMut(usize) -> V) {
        let mut lows = V::lows_zero();
        let mut from = 0;
        while from < vectors {
            let to = vectors.min(from + RUN);
            let mut running = V::splat(START);
            for i in from..to {
                let v = next(i).mul(V::splat(UNIT));
                let moved = running.add(v);
                let part = moved.sub(running);
                lows = v.sub(part).add_rounded(lows);
                running = moved;
            }
            self.highs = running.sub(V::splat(START)).add_to_wide(self.highs);
            from = to;
        }
        self.lows = V::add_lows_to_wide(lows, self.lows);
    }

    #[inline(always)]
    fn total(self) -> u64 {
        V::wide_sum(self.highs).wrapping_add(V::wide_sum(self.lows))
    }
}

#[inline(always)]
pub fn sum_weights<V: Vector>(row: &[f32], maximum: f32, scale: f32) -> u64 {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    let mut sum = Sum::<V>::new();
    let mut chunks = row.chunks_exact(RUNS * RUN * V::LANES);
    for chunk in &mut chunks {
        sum.add(RUNS * RUN, |i| weight(V::load(&chunk[i * V::LANES..]), m, c));
    }
    let rest = chunks.remainder();
    let whole = rest.len() / V::LANES;
    sum.add(whole, |i| weight(V::load(&rest[i * V::LANES..]), m, c));
    let rest = &rest[whole * V::LANES..];
    if !rest.is_empty() {
        sum.add(1, |_| weight(padded(rest), m, c));
    }
    sum.total()
}

#[inline(always)]
pub fn store_weights<V: Vector>(row: &[f32], maximum: f32, scale: f32, out: &mut [f32]) {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    store_mapped::<V>(row, out, |x| weight(x, m, c));
}

/// out = f(row), value by value.
#[inline(always)]
fn store_mapped<V: Vector>(row: &[f32], out: &mut [f32], mut f: impl FnMut(V) -> V) {
    let mut rows = row.chunks_exact(V::LANES);
    let mut outs = out.chunks_exact_mut(V::LANES);
    for (x, out) in (&mut rows).zip(&mut outs) {
        f(V::load(x)).store(out);
    }
    let (rest, out) = (rows.remainder(), outs.into_remainder());
    if !rest.is_empty() {
        let mut lanes = [0.0; 16];
        f(padded(rest)).store(&mut lanes);
        out.copy_from_slice(&lanes[..rest.len()]);
    }
}

#[inline(always)]
pub fn store_and_sum_weights<V: Vector>(row: &[f32], maximum: f32, scale: f32, out: &mut [f32]) -> u64 {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    let mut sum = Sum::<V>::new();
    let size = RUNS * RUN * V::LANES;
    let mut rows = row.chunks_exact(size);
    let mut outs = out.chunks_exact_mut(size);
    for (x, out) in (&mut rows).zip(&mut outs) {
        sum.add(RUNS * RUN, |i| {
            let w = weight(V::load(&x[i * V::LANES..]), m, c);
            w.store(&mut out[i * V::LANES..]);
            w
        });
    }
    let (rest, out) = (rows.remainder(), outs.into_remainder());
    store_mapped::<V>(rest, out, |x| {
        let w = weight(x, m, c);
        sum.add(1, |_| w);
        w
    });
    sum.total()
}

#[inline(always)]
pub fn gather_at_least<V: Vector>(row: &[f32], cut: f32, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
    let bound = V::splat(cut);
    let mut count = xs.len();
    for_each_vector::<V>(row, |at, x| {
        let bits = x.bits_at_least(bound);
        if bits != 0 {
            if xs.len() < count + V::LANES {
                // Room for a whole vector behind the cursor; grows by doubling, as a push would.
                let room = (2 * xs.len()).max(count + V::LANES);
                xs.resize(room, 0.0);
                ids.resize(room, 0);
            }
            x.compress(bits, &mut xs[count..]);
            V::compress_positions(bits, at as u32, &mut ids[count..]);
            count += bits.count_ones() as usize;
        }
    });
    xs.truncate(count);
    ids.truncate(count);
}

#[inline(always)]
pub fn multiply<V: Vector>(values: &mut [f32], factor: f32) {
    let mut chunks = values.chunks_exact_mut(V::LANES);
    for chunk in &mut chunks {
        V::load(chunk).mul(V::splat(factor)).store(chunk);
    }
    for value in chunks.into_remainder() {
        *value *= factor;
    }
}

/// Plain float64 arithmetic, which the compiler vectorises for the level; Rust never contracts it.
#[inline(always)]
pub fn store_log_probs<V: Vector>(row: &[f32], maximum: f32, temperature: f64, ln_z: f64, out: &mut [f32]) {
    for (x, out) in row.iter().zip(out) {
        *out = ((f64::from(*x) - f64::from(maximum)) / temperature - ln_z) as f32;
    }
}
