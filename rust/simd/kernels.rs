//! The passes, written once over [`Vector`]. What does not fill a vector is padded with `-inf`, which
//! weighs nothing and is never the larger.

use super::vector::Vector;
use crate::law::{COEFFICIENTS, LOWEST_EXPONENT, UNIT};

/// What the maximum pass finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maximum {
    /// The largest logit; unspecified where the row holds a NaN.
    pub logit: f32,
    /// Whether the row holds a NaN.
    pub has_nan: bool,
}

/// Where the running sum of [`Sum`] starts: 1.5 * 2**48.
const START: f32 = 422_212_465_065_984.0;

/// Vectors whose weights a running sum can take before it leaves its binade: 16 * 2**43 = 2**47.
const RUN: usize = 16;

/// Vectors whose low parts an int32 can take: 64 * 2**24 = 2**30.
const BLOCK: usize = 64;

// No closures below: a kernel is compiled for its level only as far as everything is inlined into it, and
// the compiler may leave a closure out.

#[inline(always)]
fn padded<V: Vector>(rest: &[f32]) -> V {
    let mut lanes = [f32::NEG_INFINITY; 16];
    lanes[..rest.len()].copy_from_slice(rest);
    V::load(&lanes)
}

/// The values up to the first aligned one, and from there on. A vector that straddles cache lines is loaded at
/// half the speed, and rows of NumPy's often begin 16 bytes into one. (In a short row it does not matter.)
#[inline(always)]
fn align<V: Vector>(row: &[f32]) -> (&[f32], &[f32]) {
    let short = row.len() < RUN * V::LANES;
    let head = if short { 0 } else { row.as_ptr().align_offset(4 * V::LANES) };
    row.split_at(head.min(row.len()))
}

/// The values in whole vectors, and the rest.
#[inline(always)]
fn split<V: Vector>(row: &[f32]) -> (&[f32], &[f32]) {
    row.split_at(row.len() / V::LANES * V::LANES)
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

/// Writes as many lanes as `out` has room for.
#[inline(always)]
fn store_part<V: Vector>(values: V, out: &mut [f32]) {
    let mut lanes = [0.0; 16];
    values.store(&mut lanes);
    out.copy_from_slice(&lanes[..out.len()]);
}

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
fn gather<V: Vector>(
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
fn gather_part<V: Vector>(
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

/// A cell is one lane of `RUN` vectors: 16 logits. Its sum bounds its largest weight from above.
#[inline(always)]
pub fn sum_cells<V: Vector>(row: &[f32], maximum: f32, scale: f32, cells: &mut Vec<f32>) -> f64 {
    let (m, c) = (V::splat(maximum), V::splat(scale));
    let (head, body) = align::<V>(row);
    let blocks = body.len().div_ceil(RUN * V::LANES) + 1;
    cells.resize(blocks * V::LANES, 0.0);
    let mut cells = cells.chunks_exact_mut(V::LANES);
    let mut total = V::wide_zero();
    if let Some(cells) = cells.next() {
        let sum = weight::<V, false>(padded(head), m, c);
        sum.store(cells);
        total = sum.add_to_wide(total);
    }
    for (block, cells) in body.chunks(RUN * V::LANES).zip(cells) {
        let (whole, rest) = split::<V>(block);
        let mut sum = V::splat(0.0);
        for x in whole.chunks_exact(V::LANES) {
            sum = sum.add(weight::<V, false>(V::load(x), m, c));
        }
        if !rest.is_empty() {
            sum = sum.add(weight::<V, false>(padded(rest), m, c));
        }
        sum.store(cells);
        total = sum.add_to_wide(total);
    }
    V::wide_sum_f64(total)
}

/// Gathers from the blocks of [`sum_cells`] that have a cell of at least `hot`.
#[inline(always)]
pub fn gather_from_cells<V: Vector>(
    row: &[f32],
    cells: &[f32],
    (hot, low): (f32, f32),
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    let bound = V::splat(hot);
    let mut count = xs.len();
    let (head, body) = align::<V>(row);
    gather_part(head, V::splat(low), V::splat(f32::INFINITY), 0, &mut count, xs, ids);
    let size = RUN * V::LANES;
    let cells = cells.chunks_exact(V::LANES).skip(1); // the head's
    for (i, (block, cells)) in body.chunks(size).zip(cells).enumerate() {
        if V::load(cells).bits_at_least(bound) != 0 {
            gather::<V>(block, low, f32::INFINITY, head.len() + i * size, &mut count, xs, ids);
        }
    }
    xs.truncate(count);
    ids.truncate(count);
}

/// Of the cells of at least `hot`: their sum, and at most how many weights of at least `hot` they hold.
#[inline(always)]
pub fn sum_hot<V: Vector>(cells: &[f32], hot: f32) -> (f64, f64) {
    let bound = V::splat(hot);
    let (per_weight, most) = (V::splat(1.0 / hot.max(f32::MIN_POSITIVE)), V::splat(RUN as f32));
    let (mut sum, mut count) = (V::wide_zero(), V::wide_zero());
    for cells in cells.chunks_exact(V::LANES) {
        let x = V::load(cells);
        sum = x.or_zero_below(x, bound).add_to_wide(sum);
        count = x.mul(per_weight).min(most).or_zero_below(x, bound).add_to_wide(count);
    }
    (V::wide_sum_f64(sum), V::wide_sum_f64(count))
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
    let room = least.max(2 * xs.len()).max(256);
    xs.resize(room, 0.0);
    ids.resize(room, 0);
}

#[inline(always)]
pub fn multiply<V: Vector>(values: &mut [f32], factor: f32) {
    let factor = V::splat(factor);
    let whole = values.len() / V::LANES * V::LANES;
    let (values, rest) = values.split_at_mut(whole);
    for chunk in values.chunks_exact_mut(V::LANES) {
        V::load(chunk).mul(factor).store(chunk);
    }
    if !rest.is_empty() {
        let product = padded::<V>(rest).mul(factor);
        store_part(product, rest);
    }
}

/// Plain float64 arithmetic, which the compiler vectorises for the level; Rust never contracts it.
#[inline(always)]
pub fn store_log_probs<V: Vector>(row: &[f32], maximum: f32, temperature: f64, ln_z: f64, out: &mut [f32]) {
    for (x, out) in row.iter().zip(out) {
        *out = ((f64::from(*x) - f64::from(maximum)) / temperature - ln_z) as f32;
    }
}

/// One word of the mask at a time, bit i % 32 of word i // 32 for token i; most words forbid or allow all.
/// The selection is plain integer arithmetic, which the compiler vectorises for the level.
#[inline(always)]
pub fn store_masked<V: Vector>(row: &[f32], words: &[i32], out: &mut [f32]) {
    let (row, rest) = row.as_chunks::<32>();
    let (out, out_rest) = out.as_chunks_mut::<32>();
    let (of_whole, of_rest) = words.split_at(words.len().min(row.len()));
    for ((xs, out), word) in row.iter().zip(out.iter_mut()).zip(of_whole) {
        match *word {
            0 => *out = [f32::NEG_INFINITY; 32],
            -1 => *out = *xs,
            word => store_word(xs, word as u32, out),
        }
    }
    for out in &mut out[of_whole.len()..] {
        *out = [f32::NEG_INFINITY; 32];
    }
    let mut padded = [f32::NEG_INFINITY; 32];
    padded[..rest.len()].copy_from_slice(rest);
    let mut selected = [f32::NEG_INFINITY; 32];
    store_word(&padded, of_rest.first().map_or(0, |word| *word as u32), &mut selected);
    out_rest.copy_from_slice(&selected[..rest.len()]);
}

#[inline(always)]
fn store_word(xs: &[f32; 32], word: u32, out: &mut [f32; 32]) {
    const FORBIDDEN: u32 = f32::NEG_INFINITY.to_bits();
    for bit in 0..32 {
        let keep = 0_u32.wrapping_sub(word >> bit & 1);
        out[bit] = f32::from_bits(xs[bit].to_bits() & keep | FORBIDDEN & !keep);
    }
}
