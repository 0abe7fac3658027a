//! Wide nuclei, without a sort and without writing them down: the cut is enclosed in a narrow band of logits.
//!
//! 1. **Sample.** A few hundred stretches of 16 logits tell between which two logits the cut will lie. What they
//!    must tell is the mass below it, (1 - p) * Z: that is spread over many tokens where the nucleus is wide, while
//!    the mass above may lie in a few that no sample meets; Z is better known from a survey, if there was one. The
//!    band is as wide as the sample's own variance says. Where that is wide, all logits below the estimate are
//!    counted: then only how their weights vary is unknown, and no more how many they are.
//! 2. **One exact pass** gives Z, the mass above the band in each block of 1,024 logits, and a mark for each logit
//!    inside the band.
//! 3. **The band decides.** Its logits are gathered and cut; of a band that is one value the marks are counted. Where
//!    the sample misled, which shows in the exact sums, a second one, elsewhere and with a wider band, has the exact
//!    Z; and where that misleads too, there is no cut.
//!
//! The nucleus is then all logits up to the cut, and the sums of its blocks are what a draw needs.

use crate::law;
use crate::nucleus::Row;
use crate::scratch::Scratch;
use crate::select::{self, Cut};
use crate::simd::{self, Level, SUMMED};
use crate::weighed::Weighed;

/// Stretches of a sample, and the logits of each: a cache line.
const STRETCHES: usize = 256;
const STRETCH: usize = 16;

/// One part in so many of a sample gives the first guess.
const PARTS: usize = 4;

/// How the cut is looked for.
struct Attempt {
    /// Where the sample starts.
    seed: u32,
    /// How many standard deviations of its mass below the cut the band spans on either side.
    deviations: f64,
    /// Whether a wide band may be narrowed by a count.
    counts: bool,
}

/// At first; and again, more cautiously, where that was wrong.
const ATTEMPTS: [Attempt; 2] = [
    Attempt { seed: 0, deviations: 3.0, counts: true },
    Attempt { seed: 0x5851_F42D, deviations: 6.0, counts: false },
];

/// A first step from the guess, in powers of two of the weight.
const FIRST_STEP: f32 = 0.125;

/// Logits in a band, as expected, that it pays to narrow by a count.
const MANY: f64 = 2000.0;

/// Below 2**-46 of the largest an integer weight is 0.
const NOTHING: f64 = -46.0;

/// The cut of the nucleus of probability p, which it leaves as the sums of its blocks in the scratch's `sums`, or
/// None where the sample misled. `z` is about the sum of the row's integer weights, if it is known.
pub fn find(row: &Row<'_>, p: f64, z: Option<f64>, scratch: &mut Scratch) -> Option<Cut> {
    let mut known = z;
    for attempt in &ATTEMPTS {
        take_sample(row.logits, attempt.seed, &mut scratch.xs);
        let band = estimate(row, p, known, attempt, scratch);
        let Scratch { sums, marks, .. } = &mut *scratch;
        let z =
            simd::sum_above_and_mark(Level::current(), row.logits, row.maximum, row.scale, band, sums, marks);
        let above: u64 = sums.iter().sum();
        if let Some(left) = law::share(p, z).checked_sub(above).filter(|left| *left > 0) {
            let cut = match band.0 == band.1 {
                true => cut_among_equals(row, band.0, left, scratch),
                false => cut_inside(row, left, scratch),
            };
            if let Some(cut) = cut {
                return Some(Cut { mass: above + cut.mass, ..cut });
            }
        }
        known = Some(z as f64);
    }
    None
}

/// The cut among the marked logits, and their kept weights into the sums.
fn cut_inside(row: &Row<'_>, left: u64, scratch: &mut Scratch) -> Option<Cut> {
    let Scratch { xs, ids, marks, .. } = &mut *scratch;
    xs.clear();
    ids.clear();
    simd::gather_marked(Level::current(), row.logits, marks, xs, ids);
    if row.weigh(scratch) < left {
        return None;
    }
    let Scratch { xs, ids, weights, sums, members, .. } = scratch;
    let cut = select::cut_by_weight(xs, weights, left, members);
    let cut = Cut { last: ids[cut.last] as usize, ..cut };
    let (mut block, mut sum) = (0, 0);
    for ((x, id), v) in xs.iter().zip(ids.iter()).zip(weights.iter()) {
        let at = *id as usize;
        if at / SUMMED != block {
            sums[block] += std::mem::take(&mut sum);
            block = at / SUMMED;
        }
        sum += law::integer_weight(*v) * u64::from(cut.keeps(at, *x));
    }
    sums[block] += sum;
    Some(cut)
}

/// The same where all marked logits are equal: the first of them, as many as are needed.
fn cut_among_equals(row: &Row<'_>, logit: f32, left: u64, scratch: &mut Scratch) -> Option<Cut> {
    let mut weight = [0.0];
    simd::store_weights(Level::current(), &[logit], row.maximum, row.scale, &mut weight);
    let weight = law::integer_weight(weight[0]).max(1);
    let needed = left.div_ceil(weight);
    let mut missing = needed;
    for (block, marks) in scratch.marks.chunks(SUMMED / 32).enumerate() {
        let count: u64 = marks.iter().map(|word| u64::from(word.count_ones())).sum();
        if count < missing {
            missing -= count;
            scratch.sums[block] += count * weight;
            continue;
        }
        scratch.sums[block] += missing * weight;
        let marked =
            (0..SUMMED).filter(|at| marks[at / 32] >> (at % 32) & 1 == 1).nth(missing as usize - 1)?;
        return Some(Cut { logit, last: block * SUMMED + marked, mass: needed * weight });
    }
    None
}

/// The logits between which the cut lies, as far as the sample in the scratch's `xs` can tell.
fn estimate(row: &Row<'_>, p: f64, z: Option<f64>, attempt: &Attempt, scratch: &mut Scratch) -> (f32, f32) {
    let deviations = attempt.deviations;
    let total = row.weigh(scratch) as f64;
    let sample = Weighed { xs: &scratch.xs, weights: &scratch.weights };
    let first = sample.xs.len() / PARTS;
    let first = Weighed { xs: &sample.xs[..first], weights: &sample.weights[..first] };
    let (size, per_logit) = (sample.xs.len() as f64, row.logits.len() as f64 / sample.xs.len() as f64);
    let mut below = (1.0 - p) * z.map_or(total, |z| z / per_logit);
    let bounds = (row.logit_at(NOTHING), row.maximum.next_up());
    let (guess, _) = first.enclose(below / PARTS as f64, bounds, None);
    // Where Z is the sample's own, it varies too.
    let of_z = if z.is_some() { 0.0 } else { (1.0 - p) * (1.0 - p) };
    let mut variance = sample.squares_below(guess) + of_z * sample.squares_below(f32::INFINITY);
    if attempt.counts && 2.0 * deviations * variance.sqrt() * per_logit > MANY * total / size {
        // The mass below the guess, and above it, is the mean weight there, from the sample, times the count.
        let level = Level::current();
        let (mass, _) = sample.mass_below(guess);
        let count = simd::count_below(level, sample.xs, guess) as f64;
        let share = simd::count_below(level, row.logits, guess) as f64 / row.logits.len() as f64;
        if count > 0.0 && count < size && share > 0.0 {
            let low = share / (count / size);
            let high = (1.0 - share) / (1.0 - count / size);
            let total = mass * low + (total - mass) * high;
            below = (1.0 - p) * z.map_or(total, |z| z / per_logit) / low;
            variance -= mass * mass / count + of_z * total * total / size;
        }
    }
    let spread = deviations * variance.max(0.0).sqrt();
    let start = Some((guess, FIRST_STEP / row.scale));
    (sample.enclose(below - spread, bounds, start).0, sample.enclose(below + spread, bounds, start).1)
}

/// Stretches of the row, one from each of equal parts of it, at a place that moves by the golden ratio, so that no
/// period of the row's is met. Every `PARTS`-th of them comes first.
fn take_sample(logits: &[f32], seed: u32, xs: &mut Vec<f32>) {
    // Whole pairs of vectors in each part, at every level.
    let stretches = STRETCHES.min(logits.len() / (4 * STRETCH)) / (2 * PARTS) * (2 * PARTS);
    let room = logits.len() / stretches;
    let mut place = seed;
    xs.clear();
    for first in 0..PARTS {
        for stretch in (first..stretches).step_by(PARTS) {
            place = place.wrapping_add(0x9E37_79B9);
            let from = stretch * room + ((u64::from(place) * (room - STRETCH + 1) as u64) >> 32) as usize;
            xs.extend_from_slice(&logits[from..from + STRETCH]);
        }
    }
}
