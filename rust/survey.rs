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
//! - So v * 2**-s and w differ by at most the fraction ROUGH_ERROR + 1.73e-7 + ln 2 * u * (3 |Y| + |s|) of a, and
//!   by less than 1e-4 of that for higher orders, as long as |s| <= 101.
//! - Under the probabilities a / A the mean of |Y| is their entropy less log2 A (Gibbs), at most log2 V.
//! - A cell is within the factor (1 + u)**15 of the sum of its v, and the sum of 8 cells within (1 + u)**7 of
//!   theirs; the float64 sum of those within 1e-9.
//!
//! Together Z is in Zf * 2**-s * (1 +- eps) * 2**43 +- (V / 2 + 2), with Zf the sum of the cells and
//! eps = (ROUGH_ERROR + 1.73e-7 + 22u + ln 2 * u * (3 log2 V + |s|)) * 1.0001 + 1e-9, some 6e-6.

use std::f64::consts::LN_2;

use crate::law;
use crate::simd::{self, Level, ROUGH_ERROR, Surveyed};

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

/// The largest k: integers up to it, and 2**-30 beside them in float64, are exact.
const FARTHEST: f32 = 4_194_304.0;

/// Sums beyond this are of a guess that is too low.
const LARGEST: f64 = 1e30;

/// A little less than any weight that is computed as 1 or more: twice the rough error and some.
const LITTLE_LESS: f32 = 1.0 - 1e-5;

impl Survey {
    /// Surveys a row at the temperature of this scale, with the maximum of its first logits for a guess. None where
    /// a NaN or +inf is in it, or the guess is of no use.
    pub fn of(row: &[f32], scale: f32, cells: &mut Vec<f32>) -> Option<Self> {
        let first = &row[..row.len().min(GUESS)];
        Self::with_guess(row, simd::maximum(Level::current(), first).logit, scale, cells)
    }

    /// [`Self::of`] with a guess of the maximum.
    pub fn with_guess(row: &[f32], guess: f32, scale: f32, cells: &mut Vec<f32>) -> Option<Self> {
        let shift = -(guess * scale).round_ties_even();
        if shift.is_nan() || shift.abs() > FARTHEST {
            return None;
        }
        let Surveyed { sum, top } = simd::survey(Level::current(), row, scale, shift, cells);
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
    pub fn maximum(&self, row: &[f32], cells: &[f32]) -> f32 {
        simd::maximum_from_cells(Level::current(), row, cells, self.top / 16.0 * LITTLE_LESS)
    }

    /// The interval that holds Z, for the row's maximum and length.
    #[must_use]
    pub fn sum_between(&self, maximum: f32, vocab: usize) -> (u64, u64) {
        const U: f64 = 1.0 / (1_u64 << 24) as f64;
        let s = f64::from(maximum) * f64::from(self.scale) + f64::from(self.shift);
        let log2_vocab = f64::from(vocab.ilog2() + 1);
        let exponents = LN_2 * U * (3.0 * log2_vocab + s.abs());
        let error = (ROUGH_ERROR + 1.73e-7 + 22.0 * U + exponents) * 1.0001 + 1e-9;
        let sum = self.sum * exp2(-s) * law::UNIT as f64;
        let slack = vocab as f64 / 2.0 + 2.0;
        (((sum * (1.0 - error) - slack) as u64).max(1), (sum * (1.0 + error) + slack) as u64 + 1)
    }

    /// What a cell has at least that holds a logit of at least this one.
    #[must_use]
    pub fn least_cell(&self, logit: f32) -> f32 {
        simd::rough_weight_of(Level::current(), logit, self.scale, self.shift) * LITTLE_LESS
    }

    /// Zf.
    #[must_use]
    pub fn rough_sum(&self) -> f64 {
        self.sum
    }
}

/// 2**y to within 1e-13, by the series, for |y| up to some hundreds.
fn exp2(y: f64) -> f64 {
    let n = y.round_ties_even();
    let z = (y - n) * LN_2;
    let series = (1..=12).rev().fold(1.0, |sum, k| 1.0 + sum * z / f64::from(k));
    series * f64::from_bits(((n as i64 + 1023) as u64) << 52)
}
