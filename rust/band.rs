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
//!    the sample misled, which shows in the exact sums, there is no cut, but the sums tell on which side of the band
//!    it lies.
//!
//! The nucleus is then all logits up to the cut, and the sums of its blocks are what a draw needs.

use crate::law;
use crate::nucleus::Row;
use crate::scratch::Scratch;
use crate::select::{self, Cut, Known};
use crate::simd::{self, Level, SUMMED};
use crate::weighed::{Bracket, Weighed};

/// The logits of one stretch of a sample, a cache line; how many stretches are taken at least and at most, between
/// them one from so many logits.
const STRETCH: usize = 16;
const STRETCHES: (usize, usize) = (64, 256);
const SPARSE: usize = 24 * STRETCH;

/// One part in so many of a sample gives the first guess.
const PARTS: usize = 4;

/// How the cut is looked for.
struct Attempt {
    /// Where the sample starts.
    seed: u32,
    /// How many standard deviations of its mass below the cut the band spans on either side.
    deviations: f64,
    /// Whether a wide band may be narrowed by a count, and left open above where few logits are.
    hopes: bool,
}

/// At first; and elsewhere and more cautiously where that has left out what is kept.
const ATTEMPTS: [Attempt; 2] = [
    Attempt { seed: 0, deviations: 3.0, hopes: true },
    Attempt { seed: 0x5851_F42D, deviations: 8.0, hopes: false },
];

/// Where the first guess is looked for first, from the maximum, with which steps; and with which from the guess on: in
/// powers of two of the weight.
const FIRST_GUESS: f64 = -6.0;
const FIRST_STEP: f32 = 2.0;
pub(crate) const NEXT_STEP: f32 = 0.125;

/// Logits in a band, as expected, that it pays to narrow by a count.
const MANY: f64 = 2000.0;

/// Where less than 1 / FEW of a sample is above the cut, so little is above it that a list of it is short.
pub(crate) const FEW: f64 = 6.0;

/// A tie of more than 1 / TIED of a sample is one of the row's.
const TIED: f64 = 32.0;

/// Below 2**-46 of the largest an integer weight is 0.
pub(crate) const NOTHING: f64 = -46.0;

/// Two logits between which the cut should lie.
#[derive(Clone, Copy, Debug)]
pub struct Band {
    /// The lower one.
    pub low: f32,
    /// The likeliest place between the two.
    pub middle: f32,
    /// The higher one.
    pub high: f32,
    /// Whether so few logits are above, 1 / FEW of the row, that to list them is less work than a pass over all.
    pub few_above: bool,
}

/// Where a sample says that the cut of the nucleus of probability p lies. `z` is about the sum of the row's integer
/// weights, if it is known.
pub fn guess(row: &Row<'_>, p: f64, z: Option<f64>, scratch: &mut Scratch) -> Band {
    estimate(row, p, z, &ATTEMPTS[0], scratch)
}

/// The same, more cautiously: after a guess that was wrong.
pub fn guess_again(row: &Row<'_>, p: f64, z: Option<f64>, scratch: &mut Scratch) -> Band {
    estimate(row, p, z, &ATTEMPTS[1], scratch)
}

/// The cut of the nucleus of probability p, which it leaves as the sums of its blocks in the scratch's `sums`. Where
/// the sample misled, what the exact sums have told.
///
/// # Errors
/// What is known now, where the band does not hold the cut.
pub fn find(row: &Row<'_>, p: f64, band: Band, scratch: &mut Scratch) -> Result<Cut, Known> {
    let Scratch { sums, marks, .. } = &mut *scratch;
    let (level, bounds) = (Level::current(), (band.low, band.high));
    let z = simd::sum_above_and_mark(level, row.logits, row.maximum, row.scale, bounds, sums, marks);
    let above: u64 = sums.iter().sum();
    let mut known = Known::between(row.logit_at(NOTHING), row.maximum, z);
    let left = law::share(p, z).saturating_sub(above);
    let cut = match left {
        0 => Err(0),
        _ if band.low == band.high => cut_among_equals(row, band.low, left, scratch),
        _ => cut_inside(row, &band, left, scratch),
    };
    let within = &mut known.within;
    match cut {
        Ok(cut) => return Ok(Cut { mass: above + cut.mass, ..cut }),
        Err(_) if left == 0 => (within.low, within.below_low) = (band.high.next_up(), (z - above) as f64),
        // (The band is read a second time, so another thread may have made it heavier.)
        Err(inside) => {
            (within.high, within.below_high) = (band.low, (z - above).saturating_sub(inside) as f64);
        }
    }
    Err(known)
}

/// The cut among the marked logits, and their kept weights into the sums; or their weight, where it is too little.
fn cut_inside(row: &Row<'_>, band: &Band, left: u64, scratch: &mut Scratch) -> Result<Cut, u64> {
    let Scratch { xs, ids, marks, .. } = &mut *scratch;
    xs.clear();
    ids.clear();
    simd::gather_marked(Level::current(), row.logits, marks, xs, ids);
    let total = row.weigh(scratch);
    if total < left {
        return Err(total);
    }
    let Scratch { xs, ids, weights, sums, members, .. } = scratch;
    let known = Known::between(band.low, band.high, total);
    let cut = select::cut_by_weight(Weighed { xs, weights }, known, left, members);
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
    Ok(cut)
}

/// The same where all marked logits are equal: the first of them, as many as are needed.
fn cut_among_equals(row: &Row<'_>, logit: f32, left: u64, scratch: &mut Scratch) -> Result<Cut, u64> {
    let weight = law::integer_weight(row.weight_of(logit)).max(1);
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
        let mut marked = (0..SUMMED).filter(|at| marks[at / 32] >> (at % 32) & 1 == 1);
        let last = block * SUMMED + marked.nth(missing as usize - 1).unwrap_or(SUMMED - 1);
        return Ok(Cut { logit, last, mass: needed * weight });
    }
    Err((needed - missing) * weight)
}

/// The logits between which the cut lies, as far as a sample can tell.
fn estimate(row: &Row<'_>, p: f64, z: Option<f64>, attempt: &Attempt, scratch: &mut Scratch) -> Band {
    take_sample(row.logits, attempt.seed, &mut scratch.xs);
    let deviations = attempt.deviations;
    let total = row.weigh(scratch) as f64;
    let sample = Weighed { xs: &scratch.xs, weights: &scratch.weights };
    let first = sample.xs.len() / PARTS;
    let first = Weighed { xs: &sample.xs[..first], weights: &sample.weights[..first] };
    let (size, per_logit) = (sample.xs.len() as f64, row.logits.len() as f64 / sample.xs.len() as f64);
    let mut below = (1.0 - p) * z.map_or(total, |z| z / per_logit);
    let all = Bracket {
        low: row.logit_at(NOTHING),
        below_low: 0.0,
        high: row.maximum.next_up(),
        below_high: f64::INFINITY,
    };
    let roughly = below / PARTS as f64;
    let start = Some((row.logit_at(FIRST_GUESS), FIRST_STEP / row.scale));
    let guess = first.enclose(roughly, roughly / 50.0, all, start).low;
    let next = Some((guess, NEXT_STEP / row.scale));
    // Where Z is the sample's own, it varies too.
    let of_z = if z.is_some() { 0.0 } else { (1.0 - p) * (1.0 - p) };
    let mut variance = sample.squares_below(guess) + of_z * sample.squares_below(f32::INFINITY);
    let level = Level::current();
    let count = simd::count_below(level, sample.xs, guess) as f64;
    let (mass, _) = sample.mass_below(guess);
    let few_above = attempt.hopes && size - count < size / FEW;
    if attempt.hopes && !few_above && 2.0 * deviations * variance.sqrt() * per_logit > MANY * total / size {
        // The mass below the guess, and above it, is the mean weight there, from the sample, times the count.
        let share = simd::count_below(level, row.logits, guess) as f64 / row.logits.len() as f64;
        if count > 0.0 && count < size && share > 0.0 {
            let low = share / (count / size);
            let high = (1.0 - share) / (1.0 - count / size);
            let total = mass * low + (total - mass) * high;
            below = (1.0 - p) * z.map_or(total, |z| z / per_logit) / low;
            variance -= mass * mass / count + of_z * total * total / size;
        }
    }
    // What lies between the guess and the cut varies like so many weights of the guess's, and of one there is always
    // doubt: of the lightest logits a sample may hold none. (A band that is wider by a part of its width costs less than
    // to enclose it exactly.)
    let weight = f64::from(row.weight_of(guess));
    let between = ((below - mass).abs() + weight) * weight;
    let spread = deviations * (variance.max(0.0) + between).sqrt();
    let nearly = (spread / 4.0).max(below / 100.0);
    let lower = sample.enclose(below - spread, nearly, floor_of(&sample, below - spread, all), next);
    let from = Bracket { low: lower.low, below_low: lower.below_low, ..all };
    let upper = if few_above { all } else { sample.enclose(below + spread, nearly, from, next) };
    Band { low: lower.low, middle: guess, high: upper.high.next_down(), few_above }
}

/// Where the lower end may lie: where the sample's least logit is a tie of many it is no chance that nothing is below,
/// and a band down to nothing would hold that tie with all its tokens as if each were another logit.
fn floor_of(sample: &Weighed<'_>, below: f64, all: Bracket) -> Bracket {
    if below > 0.0 {
        return all;
    }
    let (_, least) = sample.mass_below(all.low);
    let count = |logit| simd::count_below(Level::current(), sample.xs, logit) as f64;
    let tied = count(least.next_up()) - count(least);
    if tied > sample.xs.len() as f64 / TIED { Bracket { low: least, ..all } } else { all }
}

/// Stretches of the row, one from each of equal parts of it, at a place that moves by the golden ratio, so that no
/// period of the row's is met. Every `PARTS`-th of them comes first.
fn take_sample(logits: &[f32], seed: u32, xs: &mut Vec<f32>) {
    // Whole pairs of vectors in each part, at every level.
    let stretches = (logits.len() / SPARSE).clamp(STRETCHES.0, STRETCHES.1) / (2 * PARTS) * (2 * PARTS);
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
