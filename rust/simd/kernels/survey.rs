//! The survey: one read of a row that gives rough weights of all its logits, summed over cells.
//!
//! A cell is one lane of `RUN` vectors, 16 logits. Adding a non-negative float never rounds below either term,
//! so a cell's sum is at least each of its weights: where no cell is hot, no logit is.

use super::gather::{gather_part, gather_vectors};
use super::maximum::largest_lane;
use super::parts::{RUN, padded, split, split_head, store_part, sum_of_lanes};
use crate::simd::source::{Reader, Source, read};
use crate::simd::vector::Vector;

/// 2**f on [-0.5, 0.5] to within [`ROUGH_ERROR`], highest power first: a minimax fit of the relative error.
pub const ROUGH_COEFFICIENTS: [f32; 5] =
    [0.009_570_101, 0.055_917_86, 0.240_247_44, 0.693_121_8, 0.999_999_3];

/// The relative error of a rough weight against the power of two of its rounded exponent: the largest over every
/// float32 f, roundings included.
pub const ROUGH_ERROR: f64 = 2.71e-6;

/// Blocks whose cells are added in float32 before their sum goes into a float64.
const GROUP: usize = 8;

/// What a survey finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surveyed {
    /// The sum of the cells, in float64.
    pub sum: f64,
    /// The largest cell; unspecified where the sum is no number.
    pub top: f32,
}

/// 2**(x * scale + shift), roughly: below 2**-125 where that is below, infinite where it is 2**128 and more,
/// NaN or infinite for a NaN and for +inf, so that no sum of them is a finite number.
#[inline(always)]
pub fn rough_weight<V: Vector>(x: V, scale: V, shift: V) -> V {
    add_rough_weight(V::splat(0.0), x, scale, shift)
}

/// sum + [`rough_weight`], which is not rounded before where that is less work.
#[inline(always)]
fn add_rough_weight<V: Vector>(sum: V, x: V, scale: V, shift: V) -> V {
    let y = x.fma(scale, shift);
    let near = if V::SCALES_ANY { y } else { y.max(V::splat(-127.0)).min(V::splat(128.0)) };
    let (n, power) = near.rint_any();
    let f = near.sub(n);
    let mut q = V::splat(ROUGH_COEFFICIENTS[0]);
    for coefficient in &ROUGH_COEFFICIENTS[1..] {
        q = q.fma(f, V::splat(*coefficient));
    }
    q.times_any_add(power, sum)
}

/// Writes the cells: one vector of them for the head, one for each `RUN` vectors of the body.
#[inline(always)]
pub fn survey<V: Vector>(source: Source<'_>, scale: f32, shift: f32, cells: &mut Vec<f32>) -> Surveyed {
    read!(source, reader => survey_reader::<V, _>(reader, scale, shift, cells))
}

#[inline(always)]
fn survey_reader<V: Vector, R: Reader>(reader: R, scale: f32, shift: f32, cells: &mut Vec<f32>) -> Surveyed {
    let (c, k) = (V::splat(scale), V::splat(shift));
    let (head, body) = split_head::<V, _>(reader);
    let size = RUN * V::LANES;
    let blocks = body.len() / size;
    let rest = body.part(blocks * size, body.len() - blocks * size);
    cells.resize((1 + body.len().div_ceil(size)) * V::LANES, 0.0);
    let (of_head, cells) = cells.split_at_mut(V::LANES);
    let first: V = rough_weight(head.padded(), c, k);
    first.store(of_head);
    let (mut total, mut top) = (first.add_to_wide(V::wide_zero()), first);
    let (of_blocks, of_rest) = cells.split_at_mut(blocks * V::LANES);
    for (group, cells) in of_blocks.chunks_mut(GROUP * V::LANES).enumerate() {
        let mut of_group = V::splat(0.0);
        for (at, cells) in cells.chunks_exact_mut(V::LANES).enumerate() {
            let sum = sum_of_block(body.part((group * GROUP + at) * size, size), c, k);
            sum.store(cells);
            of_group = of_group.add(sum);
            top = top.max(sum);
        }
        total = of_group.add_to_wide(total);
    }
    if !of_rest.is_empty() {
        let sum = sum_of_rest(rest, c, k);
        sum.store(of_rest);
        total = sum.add_to_wide(total);
        top = top.max(sum);
    }
    let mut lanes = [0.0; 16];
    top.store(&mut lanes);
    Surveyed { sum: V::wide_sum_f64(total), top: lanes.into_iter().fold(0.0, f32::max) }
}

/// The cells of a whole block.
#[inline(always)]
fn sum_of_block<V: Vector, R: Reader>(block: R, c: V, k: V) -> V {
    let mut sum = V::splat(0.0);
    if !block.is_forbidden() {
        for pair in 0..RUN / 2 {
            sum = add_rough_weight(sum, block.half(2 * pair), c, k);
            sum = add_rough_weight(sum, block.half(2 * pair + 1), c, k);
        }
    }
    sum
}

/// The cells of less than a block.
#[inline(always)]
fn sum_of_rest<V: Vector, R: Reader>(rest: R, c: V, k: V) -> V {
    let whole = rest.len() / V::LANES * V::LANES;
    let mut sum = rough_weight(rest.part(whole, rest.len() - whole).padded(), c, k);
    for at in (0..whole).step_by(V::LANES) {
        sum = add_rough_weight(sum, rest.vector(at), c, k);
    }
    sum
}

/// Adds the rough weights of the changes, whose logits a survey has read as -inf, to the cells that they lie in.
#[inline(always)]
pub fn add_to_cells<V: Vector>(
    source: Source<'_>,
    changes: &[(u32, f32)],
    scale: f32,
    shift: f32,
    cells: &mut [f32],
    found: Surveyed,
) -> Surveyed {
    let (c, k) = (V::splat(scale), V::splat(shift));
    let head = read!(source, reader => split_head::<V, _>(reader).0.len());
    let Surveyed { mut sum, mut top } = found;
    for changes in changes.chunks(V::LANES) {
        let mut lanes = [f32::NEG_INFINITY; 16];
        for (lane, (_, x)) in lanes.iter_mut().zip(changes) {
            *lane = *x;
        }
        rough_weight(V::load(&lanes), c, k).store(&mut lanes);
        for ((id, _), weight) in changes.iter().zip(lanes) {
            let cell = match (*id as usize).checked_sub(head) {
                None => *id as usize,
                Some(at) => (at / (RUN * V::LANES) + 1) * V::LANES + at % V::LANES,
            };
            cells[cell] += weight;
            sum += f64::from(weight);
            top = top.max(cells[cell]);
        }
    }
    Surveyed { sum, top }
}

/// The block of a survey in which the cells' running sum, in the order of blocks, exceeds `mass`, as a range of
/// logits, and the sum before it; the last block where it never does.
#[inline(always)]
pub fn block_at_mass<V: Vector>(
    source: Source<'_>,
    cells: &[f32],
    mass: f64,
) -> (std::ops::Range<usize>, f64) {
    let (mut at, mut before) = (0, 0.0);
    // By groups of vectors, then by vectors.
    for vectors in [GROUP, 1] {
        let size = vectors * V::LANES;
        while at + size < cells.len() {
            let mut sum = V::splat(0.0);
            for cells in cells[at..at + size].chunks_exact(V::LANES) {
                sum = sum.add(V::load(cells));
            }
            let sum = V::wide_sum_f64(sum.add_to_wide(V::wide_zero()));
            if before + sum > mass {
                break;
            }
            before += sum;
            at += size;
        }
    }
    let head = read!(source, reader => split_head::<V, _>(reader).0.len());
    let block = at / V::LANES;
    if block == 0 {
        return (0..head, before);
    }
    let from = head + (block - 1) * RUN * V::LANES;
    (from..source.len().min(from + RUN * V::LANES), before)
}

/// Writes the rough weights into `out`, of the row's length.
#[inline(always)]
pub fn store_rough_weights<V: Vector>(row: &[f32], scale: f32, shift: f32, out: &mut [f32]) {
    let (c, k) = (V::splat(scale), V::splat(shift));
    let (whole, rest) = split::<V>(row);
    let (out, out_rest) = out.split_at_mut(whole.len());
    for (x, out) in whole.chunks_exact(V::LANES).zip(out.chunks_exact_mut(V::LANES)) {
        rough_weight(V::load(x), c, k).store(out);
    }
    if !rest.is_empty() {
        store_part(rough_weight(padded::<V>(rest), c, k), out_rest);
    }
}

/// The first vector of cells from the one at `from` on that has a cell of at least `hot`, four at a glance; how
/// many there are where none has.
#[inline(always)]
fn next_hot<V: Vector>(cells: &[f32], from: usize, hot: V) -> usize {
    let count = cells.len() / V::LANES;
    let mut at = from;
    while at + 4 <= count {
        let four = &cells[at * V::LANES..(at + 4) * V::LANES];
        let (a, b) = (V::load(four), V::load(&four[V::LANES..]));
        let (c, d) = (V::load(&four[2 * V::LANES..]), V::load(&four[3 * V::LANES..]));
        if a.max(b).max(c.max(d)).bits_at_least(hot) != 0 {
            break;
        }
        at += 4;
    }
    while at < count && V::load(&cells[at * V::LANES..]).bits_at_least(hot) == 0 {
        at += 1;
    }
    at
}

/// The largest logit in the blocks of a survey that have a cell of at least `hot`.
#[inline(always)]
pub fn maximum_from_cells<V: Vector>(source: Source<'_>, cells: &[f32], hot: f32) -> f32 {
    read!(source, reader => maximum_of_hot::<V, _>(reader, cells, hot))
}

#[inline(always)]
fn maximum_of_hot<V: Vector, R: Reader>(reader: R, cells: &[f32], hot: f32) -> f32 {
    let (head, body) = split_head::<V, _>(reader);
    let (_, cells) = cells.split_at(V::LANES); // the head's
    let size = RUN * V::LANES;
    let mut best: V = head.padded();
    let mut at = next_hot(cells, 0, V::splat(hot));
    while at * size < body.len() {
        let block = body.part(at * size, size.min(body.len() - at * size));
        let whole = block.len() / V::LANES * V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            best = best.max(block.vector(at));
        }
        best = best.max(block.part(whole, block.len() - whole).padded());
        at = next_hot(cells, at + 1, V::splat(hot));
    }
    largest_lane(best)
}

/// Appends the logits of at least `low` in blocks of a survey that have a cell of at least `hot`, and their
/// positions.
#[inline(always)]
pub fn gather_from_cells<V: Vector>(
    source: Source<'_>,
    cells: &[f32],
    (hot, low): (f32, f32),
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    read!(source, reader => gather_from_hot::<V, _>(reader, cells, (hot, low), xs, ids));
}

#[inline(always)]
fn gather_from_hot<V: Vector, R: Reader>(
    reader: R,
    cells: &[f32],
    (hot, low): (f32, f32),
    xs: &mut Vec<f32>,
    ids: &mut Vec<u32>,
) {
    let mut count = xs.len();
    let (head, body) = split_head::<V, _>(reader);
    let (_, cells) = cells.split_at(V::LANES); // the head's
    let bounds = (V::splat(low), V::splat(f32::INFINITY));
    gather_part(head, bounds, 0, &mut count, xs, ids);
    let size = RUN * V::LANES;
    let mut at = next_hot(cells, 0, V::splat(hot));
    while at * size < body.len() {
        let block = body.part(at * size, size.min(body.len() - at * size));
        gather_vectors(block, bounds, head.len() + at * size, &mut count, xs, ids);
        at = next_hot(cells, at + 1, V::splat(hot));
    }
    xs.truncate(count);
    ids.truncate(count);
}

/// Of the cells of at least `hot`: their sum, rounded, and how many there are.
#[inline(always)]
pub fn sum_hot<V: Vector>(cells: &[f32], hot: f32) -> (f32, usize) {
    let bound = V::splat(hot);
    let (mut even, mut odd, mut count) = (V::splat(0.0), V::splat(0.0), 0);
    let mut pairs = cells.chunks_exact(2 * V::LANES);
    for pair in &mut pairs {
        let (a, b) = (V::load(pair), V::load(&pair[V::LANES..]));
        even = even.add(a.or_zero_below(a, bound));
        odd = odd.add(b.or_zero_below(b, bound));
        count += (a.bits_at_least(bound) | b.bits_at_least(bound) << V::LANES).count_ones() as usize;
    }
    for cells in pairs.remainder().chunks_exact(V::LANES) {
        let x = V::load(cells);
        even = even.add(x.or_zero_below(x, bound));
        count += x.bits_at_least(bound).count_ones() as usize;
    }
    (sum_of_lanes(even.add(odd)), count)
}
