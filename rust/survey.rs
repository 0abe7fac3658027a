//! One read of a row that tells its maximum, whether it is a row at all, and an interval for Z.
//!
//! The law's weights need the maximum, which takes a pass of its own. The survey takes the place of both: with a
//! guessed maximum it adds rough weights v = 2**(x * c - k) up, k an integer near the guess times c, over cells
//! of 16 logits. A NaN or +inf makes the sum no finite number, and so does a guess that is far too low. The row's
//! maximum lies in a cell that holds at least 1/16 of what the largest cell does.
//!
//! **The interval.** Let m be the maximum, s = m * c - k, u = 2**-24; Y = (x - m) * c and a = 2**Y, all exact, and
//! A the sum of all a, at least 1. Then, for a row of V logits:
//! - The law's exponent is within 2u |Y| of Y and its weight w within 1.73e-7 of the power of two; W * 2**-43 is
//!   within 2**-44 of w. Below 2**-100 both are as good as 0.
//! - The survey's exponent is within u |Y + s| of Y + s, and v within `ROUGH_ERROR` of its power of two.
//! - So v * 2**-s and w differ by at most the fraction `ROUGH_ERROR` + 1.73e-7 + ln 2 * u * (3 |Y| + |s|) of a, and
//!   by less than 1e-4 of that for higher orders, as long as |s| <= 101.
//! - Under the probabilities a / A the mean of |Y| is their entropy less log2 A (Gibbs), at most log2 V.
//! - A cell is within the factor (1 + u)**15 of the sum of its v, and the sum of 8 cells within (1 + u)**7 of
//!   theirs; the float64 sum of those within 1e-9.
//!
//! Together Z is in Zf * 2**-s * (1 +- eps) * 2**43 +- (V / 2 + 2), with Zf the sum of the cells and
//! eps = (`ROUGH_ERROR` + 1.73e-7 + 22u + ln 2 * u * (3 log2 V + |s|)) * 1.0001 + 1e-9, some 6e-6.
//!
//! The row is read where it stands. A forbidden logit weighs 0 there, and so does one that a penalty has changed: what
//! it weighs now is added to its cell afterwards, which then is a sum of its 16 logits like any other, in another
//! order.
//!
//! **With a list.** Where the exact weight of some logits is known, that of the others is left. Theirs differs from the
//! rough one by the parts above, of B, the sum of their a alone; only the rounding of sums, 15u where the cells are
//! added in float64, is one of Zf. The mean of |Y| under a / B is at most log2 V - log2 B, so the sum of a |Y| is at most
//! B log2 V + 0.54.

use std::f64::consts::LN_2;

use crate::law;
use crate::row::Row;
use crate::simd::{self, Cells, Level, ROUGH_ERROR, Surveyed};

/// What one read has told of a row. Its cells stand in the buffer that was given to it.
#[derive(Clone, Copy, Debug)]
pub struct Survey {
    scale: f32,
    /// -k.
    shift: f32,
    /// Zf.
    sum: f64,
    /// The largest cell.
    top: f32,
}

/// Logits from which the maximum is guessed.
const GUESS: usize = 1 << 10;

/// Logits that are looked at to tell a flat row, and the part of them from which on it is one.
const LOOK: usize = 1 << 8;
const FLAT: f64 = 0.125;

/// So many stretches of a row, one from each of equal parts, are looked at: a vocabulary often begins with control
/// tokens or bytes, which tell nothing of the rest.
const STRETCHES: usize = 16;

/// Where the maximum alone weighs more than 1 / ALONE of what the look makes of the row, the look has missed it.
const ALONE: f64 = 64.0;

/// The largest k: integers up to it, and 2**-30 beside them in float64, are exact.
const FARTHEST: f32 = 4_194_304.0;

/// Sums beyond this are of a guess that is too low.
const LARGEST: f64 = 1e30;

/// More than 3 ln 2 * u * 0.54: what the exponents of logits beside a list can add to their weight.
const ENTROPY: f64 = 1e-7;

/// Half a unit in the last place of 1.
const U: f64 = 1.0 / (1_u64 << 24) as f64;

/// A little less than any weight that is computed as 1 or more: twice the rough error and some.
const LITTLE_LESS: f32 = 1.0 - 1e-5;

impl Survey {
    /// Surveys a row at the temperature of this scale, with the maximum of some of its logits for a guess. None where
    /// a NaN or +inf is in it, or the guess is of no use.
    pub fn of(row: Row<'_>, scale: f32, cells: &mut Cells) -> Option<Self> {
        let guess = simd::maximum(Level::current(), look(row, &mut [0.0; GUESS])).logit;
        Self::with_guess(row, guess, scale, cells)
    }

    /// [`Self::of`] with a guess of the maximum.
    pub fn with_guess(row: Row<'_>, guess: f32, scale: f32, cells: &mut Cells) -> Option<Self> {
        let shift = -(guess * scale).round_ties_even();
        if shift.is_nan() || shift.abs() > FARTHEST {
            return None;
        }
        let Surveyed { sum, top } = cells.survey(row.source(), row.changes(), scale, shift);
        // Also for a NaN. The guess itself weighs about 1, unless its weight is lost to a large k.
        (0.25..LARGEST).contains(&sum).then_some(Self { scale, shift, sum, top })
    }

    /// The scale it was taken at.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// The row's maximum.
    #[must_use]
    pub fn maximum(&self, row: Row<'_>, cells: &Cells) -> f32 {
        let hot = self.top / 16.0 * LITTLE_LESS;
        let maximum = cells.maximum(row.source(), hot);
        row.changes().iter().fold(maximum, |largest, (_, x)| largest.max(*x))
    }

    /// m * c - k, for the row's maximum.
    fn offset(&self, maximum: f32) -> f64 {
        f64::from(maximum) * f64::from(self.scale) + f64::from(self.shift)
    }

    /// The interval that holds Z, for the row's maximum and length.
    #[must_use]
    pub fn sum_between(&self, maximum: f32, vocab: usize) -> (u64, u64) {
        let s = self.offset(maximum);
        let error = error(s, vocab);
        let sum = self.sum * exp2(-s) * law::UNIT as f64;
        let slack = vocab as f64 / 2.0 + 2.0;
        (((sum * (1.0 - error) - slack) as u64).max(1), (sum * (1.0 + error) + slack) as u64 + 1)
    }

    /// The same where some logits are listed, the sum of whose integer weights is known: a narrower one, since only what
    /// is not listed is unknown.
    #[must_use]
    pub fn sum_with_listed(
        &self,
        maximum: f32,
        vocab: usize,
        listed: &[f32],
        mass: u64,
        cells: &Cells,
    ) -> (u64, u64) {
        let s = self.offset(maximum);
        let sum = cells.sum();
        let rest = sum - simd::sum_rough_weights(Level::current(), listed, self.scale, self.shift);
        let unit = exp2(s);
        let error = (15.0 * U * 1.0001 + 1e-9) * sum + ENTROPY * unit;
        let part = error_of_weights(s, vocab);
        let slack = vocab as f64 / 2.0 + 2.0;
        let scaled = law::UNIT as f64 / unit;
        let low = ((rest - error) * (1.0 - part) * scaled - slack) as u64; // 0 where it is negative
        let high = (rest + error) * (1.0 + part) * scaled + slack;
        (mass + low, mass + high as u64 + 1)
    }

    /// The token that chance `u` draws from the whole row, or None where the interval cannot tell. `weights` is a
    /// buffer.
    ///
    /// The law's token is the first whose cumulative weight C exceeds u / 2**64 * Z. Every C is within eps * Z and
    /// the slack of what the rough weights say, since that bounds the sum of the absolute errors; and so is Z.
    #[must_use]
    pub fn draw(
        &self,
        row: Row<'_>,
        maximum: f32,
        u: u64,
        cells: &Cells,
        weights: &mut Vec<f32>,
    ) -> Option<usize> {
        let slack = (row.len() + 4) as f64 / law::UNIT as f64 * 1.01;
        let margin = self.sum * (2.0 * error(self.offset(maximum), row.len()) + slack);
        let mass = u as f64 / 2.0_f64.powi(64) * self.sum;
        let (block, before) = cells.block_at_mass(row.source(), mass);
        weights.resize(block.len(), 0.0);
        row.with_part(block.clone(), |logits| {
            simd::store_rough_weights(Level::current(), logits, self.scale, self.shift, weights);
        });
        let mut sum = before;
        for (token, weight) in block.zip(weights.iter()) {
            let below = sum;
            sum += f64::from(*weight);
            if sum > mass {
                return (below < mass - margin && sum > mass + margin).then_some(token);
            }
        }
        None
    }

    /// What a cell has at least that holds a logit of at least this one.
    #[must_use]
    pub fn least_cell(&self, logit: f32) -> f32 {
        let mut weight = [0.0];
        simd::store_rough_weights(Level::current(), &[logit], self.scale, self.shift, &mut weight);
        weight[0] * LITTLE_LESS
    }

    /// Zf.
    #[must_use]
    pub fn rough_sum(&self) -> f64 {
        self.sum
    }
}

/// eps, for a row's maximum as m * c - k and its length.
fn error(s: f64, vocab: usize) -> f64 {
    error_of_weights(s, vocab) + 22.0 * U * 1.0001 + 1e-9
}

/// The part of eps that the weights make, and not their sums.
fn error_of_weights(s: f64, vocab: usize) -> f64 {
    let log2_vocab = f64::from(vocab.ilog2() + 1);
    (ROUGH_ERROR + 1.73e-7 + LN_2 * U * (3.0 * log2_vocab + s.abs())) * 1.0001
}

/// Logits from all over the row, or all of it where there is room: stretches from each of equal parts, at a place that
/// moves by the golden ratio, so that no period of the row's is met.
fn look<'a>(row: Row<'_>, seen: &'a mut [f32]) -> &'a [f32] {
    let size = row.len().min(seen.len());
    if size < seen.len() {
        row.store_part(0, &mut seen[..size]);
        return &seen[..size];
    }
    let (each, room) = (size / STRETCHES, row.len() / STRETCHES);
    let mut place = 0_u32;
    for (stretch, part) in seen.chunks_exact_mut(each).enumerate() {
        let from = stretch * room + ((u64::from(place) * (room - each + 1) as u64) >> 32) as usize;
        row.store_part(from / 16 * 16, part); // a mask has 16 bits to a vector
        place = place.wrapping_add(0x9E37_79B9);
    }
    seen
}

/// Whether the row's logits weigh about the same, as far as a look at some of them can tell, so that most of the row may
/// have to be kept: the number of equal weights that would vary as much as theirs is a part of their number. Where the
/// row's maximum is known, it must not weigh much more.
#[must_use]
pub fn looks_flat(row: Row<'_>, maximum: Option<f32>, scale: f32) -> bool {
    let (level, mut seen, mut weights) = (Level::current(), [0.0; LOOK], [0.0; LOOK]);
    let seen = look(row, &mut seen);
    let weights = &mut weights[..seen.len()];
    let maximum = maximum.unwrap_or_else(|| simd::maximum(level, seen).logit);
    simd::store_weights(level, seen, maximum, scale, weights);
    let sum = f64::from(simd::sum_below(level, seen, weights, f32::INFINITY).0);
    let squares = f64::from(simd::sum_squares_below(level, seen, weights, f32::INFINITY));
    let per_logit = row.len() as f64 / seen.len() as f64;
    sum * sum > FLAT * seen.len() as f64 * squares && sum * per_logit > ALONE * law::UNIT as f64
}

/// 2**y to within 1e-13, by the series, for |y| up to some hundreds.
fn exp2(y: f64) -> f64 {
    let n = y.round_ties_even();
    let z = (y - n) * LN_2;
    let series = (1..=12).rev().fold(1.0, |sum, k| 1.0 + sum * z / f64::from(k));
    series * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}
