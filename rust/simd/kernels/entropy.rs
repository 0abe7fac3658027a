//! The parts of an entropy. Plain loops: what they are compiled for is all that a level changes.

use crate::simd::vector::Vector;

/// Adding and subtracting it rounds a float64 below it to an integer, half to even: 2**52.
const ROUND: f64 = 4_503_599_627_370_496.0;

/// (W / S) * l for each token, 0 where W is 0; all in float64, each operation rounded once.
#[inline(always)]
pub fn store_parts<V: Vector>(
    xs: &[f32],
    weights: &[f32],
    scores: (f64, f64, f64),
    sum: f64,
    out: &mut [f64],
) {
    let (maximum, temperature, ln_sum) = scores;
    for ((x, v), out) in xs.iter().zip(weights).zip(out) {
        let l = (f64::from(*x) - maximum) / temperature - ln_sum + 0.0;
        let weight = (f64::from(*v) + ROUND) - ROUND;
        let part = weight / sum * l;
        *out = if weight == 0.0 { 0.0 } else { part };
    }
}
