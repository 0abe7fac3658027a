//! The numeric law: integer weights, their sum, the order of tokens, the draw. `rheostat.reference.law`
//! says the same in NumPy, and the tests hold the two together bit by bit.

use std::cmp::Ordering;

use crate::Error;
use crate::error::Number;
use crate::simd::{self, Level};

/// The law's version, part of everything that is stored.
pub const LAW: u32 = 1;

/// log2(e).
const LOG2_E: f64 = std::f64::consts::LOG2_E;

/// 2**f on [-0.5, 0.5], highest power first: a minimax fit of the relative error (1.73e-7), p(0) = 1.
#[allow(clippy::approx_constant)] // 0.693147 is near ln 2, and meant as it is
pub const COEFFICIENTS: [f32; 6] =
    [0.001_326_465_3, 0.009_671_511, 0.055_507_34, 0.240_222_42, 0.693_147, 1.0];

/// Below 2**-100 of the largest a weight is 0.
pub const LOWEST_EXPONENT: f32 = -100.0;

/// The integer weight of the row's maximum.
pub const UNIT: u64 = 1 << 43;

/// The largest vocabulary: its weights sum to at most 2**63.
pub const MAX_VOCAB: usize = 1 << 20;

/// The factor c of y = (x - m) * c, rounded once.
#[must_use]
pub fn scale_of(temperature: f64) -> f32 {
    (LOG2_E / temperature) as f32
}

/// Whether a row may be so long.
///
/// # Errors
/// [`Error::Knob`] of the logits where it is empty or longer than [`MAX_VOCAB`].
pub fn check_length(length: usize) -> Result<(), Error> {
    if (1..=MAX_VOCAB).contains(&length) {
        return Ok(());
    }
    let rule = "must have a vocabulary of 1 to 1048576";
    Err(Error::Knob { argument: "logits", rule, value: Number::Int(length as i128), row: None })
}

/// The row's maximum, or why the row is none: the lowest token that is NaN or +inf, or no finite logit.
///
/// # Errors
/// Those of [`check_length`]; [`Error::Logit`] and [`Error::NoFiniteLogit`], with row 0.
pub fn check_row(row: &[f32]) -> Result<f32, Error> {
    check_length(row.len())?;
    let maximum = simd::maximum(Level::current(), row);
    if maximum.has_nan || maximum.logit == f32::INFINITY {
        let bad = |x: &f32| x.is_nan() || *x == f32::INFINITY;
        if let Some(token) = row.iter().position(bad) {
            return Err(Error::Logit { row: 0, token, value: f64::from(row[token]) });
        }
    }
    if maximum.logit == f32::NEG_INFINITY { Err(Error::NoFiniteLogit { row: 0 }) } else { Ok(maximum.logit) }
}

/// W = rint(v), half to even, for a float weight v = w * 2**43.
#[must_use]
pub fn integer_weight(v: f32) -> u64 {
    // Adding 2**52 leaves a float64 with a unit of 1: the sum is rounded to an integer, half to even, and
    // stands in the low bits.
    const ROUND: f64 = 4_503_599_627_370_496.0;
    (f64::from(v) + ROUND).to_bits() & ((1 << 52) - 1)
}

/// ceil(p * s) for the exact double p in [0, 1].
#[must_use]
pub fn share(p: f64, s: u64) -> u64 {
    let bits = p.to_bits();
    let biased = (bits >> 52 & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    // p = mantissa * 2**-shift, subnormal numbers included
    let (mantissa, shift) = if biased == 0 { (fraction, 1074) } else { (fraction | 1 << 52, 1075 - biased) };
    let product = u128::from(mantissa) * u128::from(s); // below 2**117
    if shift >= 128 {
        return u64::from(product > 0);
    }
    let whole = product >> shift;
    (whole + u128::from(whole << shift != product)) as u64
}

/// The law's own logarithm, in basic float64 operations: z = b * 2**e with b in [sqrt(1/2), sqrt(2)),
/// ln b = 2 artanh s with s = (b - 1) / (b + 1), by its series to s**23. For finite z > 0.
#[must_use]
pub fn ln(z: f64) -> f64 {
    // A subnormal number is made normal, exactly.
    const LIFT: i32 = 64;
    let (bits, lifted) =
        if z < f64::MIN_POSITIVE { ((z * 2_f64.powi(LIFT)).to_bits(), LIFT) } else { (z.to_bits(), 0) };
    let mut e = (bits >> 52) as i32 - 1022 - lifted;
    let mut b = f64::from_bits(bits & ((1 << 52) - 1) | 1022 << 52); // in [0.5, 1)
    if b < std::f64::consts::FRAC_1_SQRT_2 {
        b *= 2.0;
        e -= 1;
    }
    let s = (b - 1.0) / (b + 1.0);
    let mut a = 0.0;
    for k in (1..=23).rev().step_by(2) {
        a = a * (s * s) + 1.0 / f64::from(k);
    }
    f64::from(e) * std::f64::consts::LN_2 + 2.0 * s * a
}

/// The law's order of tokens: logit descending, then id ascending; -0.0 equals 0.0. Not for NaN.
#[must_use]
pub fn order(a: (f32, u32), b: (f32, u32)) -> Ordering {
    b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
}

/// r = floor(u * S / 2**64): the draw takes the first id whose cumulative weight exceeds it.
#[must_use]
pub fn draw(u: u64, s: u64) -> u64 {
    ((u128::from(u) * u128::from(s)) >> 64) as u64
}
