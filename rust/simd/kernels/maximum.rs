//! The largest logit.

use super::parts::{RUN, split_head};
use crate::simd::source::{Reader, Source, read};
use crate::simd::vector::Vector;

/// What the maximum pass finds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Maximum {
    /// The largest logit; unspecified where the row holds a NaN.
    pub logit: f32,
    /// Whether the row holds a NaN.
    pub has_nan: bool,
}

#[inline(always)]
pub fn maximum<V: Vector>(row: &[f32]) -> Maximum {
    maximum_of_reader::<V, _>(row)
}

#[inline(always)]
pub fn maximum_of<V: Vector>(source: Source<'_>) -> Maximum {
    read!(source, reader => maximum_of_reader::<V, _>(reader))
}

#[inline(always)]
fn maximum_of_reader<V: Vector, R: Reader>(reader: R) -> Maximum {
    // Four independent chains hide the latency of max; NaN is looked for apart, two vectors at a time,
    // since a maximum may lose it.
    let mut best = [V::splat(f32::NEG_INFINITY); 4];
    let mut unordered = V::none();
    let (head, body) = split_head::<V, _>(reader);
    let size = 4 * V::LANES;
    let four = body.len() / size * size;
    for at in (0..four).step_by(size) {
        let chunk = body.part(at, size);
        let (a, b): (V, V) = (chunk.vector(0), chunk.vector(V::LANES));
        let (c, d): (V, V) = (chunk.vector(2 * V::LANES), chunk.vector(3 * V::LANES));
        best = [best[0].max(a), best[1].max(b), best[2].max(c), best[3].max(d)];
        unordered = V::or(unordered, V::or(a.is_unordered(b), c.is_unordered(d)));
    }
    let rest = body.part(four, body.len() - four);
    let whole = rest.len() / V::LANES * V::LANES;
    for at in (0..whole).step_by(V::LANES) {
        let x: V = rest.vector(at);
        best[0] = best[0].max(x);
        unordered = V::or(unordered, x.is_unordered(x));
    }
    for part in [head, rest.part(whole, rest.len() - whole)] {
        if part.len() == 0 {
            continue;
        }
        let x: V = part.padded();
        best[0] = best[0].max(x);
        unordered = V::or(unordered, x.is_unordered(x));
    }
    let logit = largest_lane(best[0].max(best[1]).max(best[2].max(best[3])));
    Maximum { logit, has_nan: V::any(unordered) }
}

/// The maximum, and those of the cells of a survey: one vector of them for the head, one for each `RUN` vectors of the
/// body. Where no cell reaches a bound, no logit does.
#[inline(always)]
pub fn peaks<V: Vector>(source: Source<'_>, cells: &mut Vec<f32>) -> Maximum {
    read!(source, reader => peaks_of_reader::<V, _>(reader, cells))
}

#[inline(always)]
fn peaks_of_reader<V: Vector, R: Reader>(reader: R, cells: &mut Vec<f32>) -> Maximum {
    let (head, body) = split_head::<V, _>(reader);
    let size = RUN * V::LANES;
    let blocks = body.len() / size;
    cells.resize((1 + body.len().div_ceil(size)) * V::LANES, 0.0);
    let (of_head, cells) = cells.split_at_mut(V::LANES);
    let mut best: V = head.padded();
    let mut unordered = best.is_unordered(best);
    best.store(of_head);
    let (of_blocks, of_rest) = cells.split_at_mut(blocks * V::LANES);
    for (at, cells) in of_blocks.chunks_exact_mut(V::LANES).enumerate() {
        let block = body.part(at * size, size);
        let mut peak = [V::splat(f32::NEG_INFINITY); 2];
        for pair in 0..RUN / 2 {
            let (a, b): (V, V) = (block.half(2 * pair), block.half(2 * pair + 1));
            peak = [peak[0].max(a), peak[1].max(b)];
            unordered = V::or(unordered, a.is_unordered(b));
        }
        let peak = peak[0].max(peak[1]);
        peak.store(cells);
        best = best.max(peak);
    }
    if !of_rest.is_empty() {
        let rest = body.part(blocks * size, body.len() - blocks * size);
        let whole = rest.len() / V::LANES * V::LANES;
        let mut peak: V = rest.part(whole, rest.len() - whole).padded();
        unordered = V::or(unordered, peak.is_unordered(peak));
        for at in (0..whole).step_by(V::LANES) {
            let x: V = rest.vector(at);
            unordered = V::or(unordered, x.is_unordered(x));
            peak = peak.max(x);
        }
        peak.store(of_rest);
        best = best.max(peak);
    }
    Maximum { logit: largest_lane(best), has_nan: V::any(unordered) }
}

/// The largest of the lanes, none of them NaN.
#[inline(always)]
pub fn largest_lane<V: Vector>(values: V) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 16];
    values.store(&mut lanes);
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}
