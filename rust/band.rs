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
//! 4. **Ties of many** at an end of the band are no part of it, since to list them would be to list the row: all of a
//!    tie weigh the same, so they are counted, and that only if the cut is not in the band (see [`crate::ties`]).
//!
//! The nucleus is then all logits up to the cut, and the sums of its blocks are what a draw needs.

use crate::law;
use crate::nucleus::Wide;
use crate::scratch::Scratch;
use crate::select::{self, Cut, Known};
use crate::simd::{self, Level, SUMMED};
use crate::ties::Equals;
use crate::weighed::{self, Bracket, Weighed};

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

/// A list begins where the sample has this share above, if it would be too long with all that may be needed; and so
/// many steps look for that place.
const LISTED: f64 = 0.9 / FEW;
const HALVINGS: usize = 12;

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
    /// Whether the lower one and the higher one, if they are two, are ties of many.
    tied: (bool, bool),
}

impl Band {
    /// The ties of many at its lower and its higher end, and the ends without them.
    fn ties(&self) -> (Option<f32>, Option<f32>, (f32, f32)) {
        let (below, above) = (self.tied.0.then_some(self.low), self.tied.1.then_some(self.high));
        let inside = (below.map_or(self.low, f32::next_up), above.map_or(self.high, f32::next_down));
        (below, above, inside)
    }
}

/// Where a sample says that the cut of the nucleus of probability p lies. `z` is about the sum of the row's integer
/// weights, if it is known.
pub fn guess(row: &Wide<'_>, p: f64, z: Option<f64>, scratch: &mut Scratch) -> Band {
    estimate(row, p, z, &ATTEMPTS[0], scratch)
}

/// The same, more cautiously: after a guess that was wrong.
pub fn guess_again(row: &Wide<'_>, p: f64, z: Option<f64>, scratch: &mut Scratch) -> Band {
    estimate(row, p, z, &ATTEMPTS[1], scratch)
}

/// The cut of the nucleus of probability p, which it leaves as the sums of its blocks in the scratch's `sums`. Where
/// the sample misled, what the exact sums have told.
///
/// # Errors
/// What is known now, where the band does not hold the cut.
pub fn find(row: &Wide<'_>, p: f64, band: Band, scratch: &mut Scratch) -> Result<Cut, Known> {
    let Scratch { sums, marks, .. } = &mut *scratch;
    let (tie_below, tie_above, inside) = band.ties();
    let z =
        simd::sum_above_and_mark(Level::current(), row.logits, row.maximum, row.scale, inside, sums, marks);
    let target = law::share(p, z);
    let mut known = Known::between(row.logit_at(NOTHING), row.maximum, z);
    let mut above: u64 = sums.iter().sum();
    if let Some(tie) = tie_above.filter(|_| above >= target) {
        let equals = Equals::standing(row, tie);
        equals.take_out(sums);
        above = sums.iter().sum();
        if above < target
            && let Ok(cut) = equals.cut(target - above, sums)
        {
            return Ok(Cut { mass: above + cut.mass, ..cut });
        }
    }
    if above >= target {
        (known.within.low, known.within.below_low) = (band.high.next_up(), (z - above) as f64);
        return Err(known);
    }
    let mut cut = if inside.0 == inside.1 {
        Equals::marked(row, inside.0, marks).cut(target - above, sums)
    } else {
        cut_inside(row, inside, target - above, scratch)
    };
    if let (Err(all), Some(tie)) = (cut, tie_below) {
        above += all;
        cut = Equals::standing(row, tie).cut(target - above, &mut scratch.sums);
    }
    match cut {
        Ok(cut) => Ok(Cut { mass: above + cut.mass, ..cut }),
        // (The band is read a second time, so another thread may have made it heavier.)
        Err(all) => {
            (known.within.high, known.within.below_high) = (band.low, (z - above).saturating_sub(all) as f64);
            Err(known)
        }
    }
}

/// The cut among the marked logits, and their kept weights into the sums; all of them and their weight, where that is
/// too little.
fn cut_inside(row: &Wide<'_>, (low, high): (f32, f32), left: u64, scratch: &mut Scratch) -> Result<Cut, u64> {
    let Scratch { xs, ids, marks, .. } = &mut *scratch;
    xs.clear();
    ids.clear();
    simd::gather_marked(Level::current(), row.logits, marks, xs, ids);
    let total = row.weigh(scratch);
    let Scratch { xs, ids, weights, sums, members, .. } = scratch;
    let cut = if total < left {
        Err(total)
    } else {
        Ok(select::cut_by_weight(Weighed { xs, weights }, Known::between(low, high, total), left, members))
    };
    let cut = cut.map(|cut| Cut { last: ids[cut.last] as usize, ..cut });
    let (mut block, mut sum) = (0, 0);
    for ((x, id), v) in xs.iter().zip(ids.iter()).zip(weights.iter()) {
        let at = *id as usize;
        if at / SUMMED != block {
            sums[block] += std::mem::take(&mut sum);
            block = at / SUMMED;
        }
        sum += law::integer_weight(*v) * u64::from(cut.is_err() || cut.is_ok_and(|cut| cut.keeps(at, *x)));
    }
    sums[block] += sum;
    cut
}

/// The logits between which the cut lies, as far as a sample can tell.
fn estimate(row: &Wide<'_>, p: f64, z: Option<f64>, attempt: &Attempt, scratch: &mut Scratch) -> Band {
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
    let level = Level::current();
    let count_below = |logit| simd::count_below(level, sample.xs, logit) as f64;
    let few_above = attempt.hopes && size - count_below(guess) < size / FEW;
    let side = nearer_side(&sample, guess, below);
    let (mass, _) = sample.mass_below(side);
    let count = count_below(side);
    let mut variance = sample.squares_below(side) + of_z * sample.squares_below(f32::INFINITY);
    if attempt.hopes && !few_above && 2.0 * deviations * variance.sqrt() * per_logit > MANY * total / size {
        // The mass below the guess, and above it, is the mean weight there, from the sample, times the count.
        let share = simd::count_below(level, row.logits, side) as f64 / row.logits.len() as f64;
        if count > 0.0 && count < size && share > 0.0 {
            let low = share / (count / size);
            let high = (1.0 - share) / (1.0 - count / size);
            let total = mass * low + (total - mass) * high;
            below = (1.0 - p) * z.map_or(total, |z| z / per_logit) / low;
            variance -= mass * mass / count + of_z * total * total / size;
            // What is not below it was scaled as if it were.
            variance += (below - mass).powi(2) * (1.0 / count - 1.0 / size);
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
    let (mut low, high) = (lower.low, upper.high.next_down());
    if few_above && size - count_below(low) > LISTED * size {
        low = least_listed(&sample, (low, guess));
    }
    // The higher end is a logit of the sample only where the sample has no other between the two.
    let tied =
        (low < high && is_tied(&sample, low), low < high && upper.low == high && is_tied(&sample, high));
    Band { low, middle: guess, high, few_above, tied }
}

/// Where the lower end may lie: where the sample's least logit is a tie of many it is no chance that nothing is below,
/// and a band down to nothing would hold that tie with all its tokens as if each were another logit.
fn floor_of(sample: &Weighed<'_>, below: f64, all: Bracket) -> Bracket {
    if below > 0.0 {
        return all;
    }
    let (_, least) = sample.mass_below(all.low);
    if is_tied(sample, least) { Bracket { low: least, ..all } } else { all }
}

/// The logit, or the one just above it, below which the sample has more nearly this mass: a tie of many is below the
/// cut as a whole or not at all, as far as what is below can be counted.
fn nearer_side(sample: &Weighed<'_>, logit: f32, below: f64) -> f32 {
    let off = |side| (sample.mass_below(side).0 - below).abs();
    let is_above = is_tied(sample, logit) && off(logit.next_up()) < off(logit);
    if is_above { logit.next_up() } else { logit }
}

/// About the least logit from which on a list is short; `low` is too low, `high` is not.
fn least_listed(sample: &Weighed<'_>, (mut low, mut high): (f32, f32)) -> f32 {
    let size = sample.xs.len() as f64;
    for _ in 0..HALVINGS {
        let middle = low / 2.0 + high / 2.0;
        let count = simd::count_below(Level::current(), sample.xs, middle) as f64;
        if size - count > LISTED * size { low = middle } else { high = middle }
    }
    high
}

/// Whether so many of the sample are equal to this logit that it is a tie of many in the row.
fn is_tied(sample: &Weighed<'_>, logit: f32) -> bool {
    weighed::count(sample.xs, logit) as f64 > sample.xs.len() as f64 / TIED
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
