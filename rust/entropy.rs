//! Float64 over a kept set: log-probabilities, and sums in the one order that the law gives them.

use crate::law;
use crate::simd::{self, Level};

/// Float64 sums run in so many lanes.
const LANES: usize = 16;

/// Parts of an entropy that are made together: so many times all lanes.
const BLOCK: usize = 256;

/// The sum of one value per token, in the law's order: lane id % 16 adds its own in id order, then the lanes
/// are added. An order has to be written down, since float64 addition is not associative.
#[must_use]
pub fn lane_sum(ids: &[u32], value: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    for (at, id) in ids.iter().enumerate() {
        lanes[*id as usize % LANES] += value(at);
    }
    lanes.iter().sum()
}

/// The log-probabilities of a kept set: l = (x - m) / T - ln(S / 2**43). The logarithm is taken once.
#[derive(Clone, Copy, Debug)]
pub struct LogProbs {
    maximum: f64,
    temperature: f64,
    ln_sum: f64,
}

impl LogProbs {
    /// Of a set with this maximum and this sum of integer weights.
    #[must_use]
    pub fn new(maximum: f32, temperature: f64, sum: u64) -> Self {
        Self { maximum: maximum.into(), temperature, ln_sum: law::ln(sum as f64 / law::UNIT as f64) }
    }

    /// m, T and ln(S / 2**43).
    fn scores(&self) -> (f64, f64, f64) {
        (self.maximum, self.temperature, self.ln_sum)
    }

    /// The logarithm of a kept token's probability. The 0.0 makes 0.0 of -0.0, which else would tell the sign of
    /// a maximum that is 0.
    #[must_use]
    pub fn of(&self, x: f32) -> f64 {
        (f64::from(x) - self.maximum) / self.temperature - self.ln_sum + 0.0
    }
}

/// The entropy of a set with these logits, float weights and ids, in nats: -sum (W / S) * l in the law's order.
/// (The parts are made block by block, side by side: their divisions are most of the work,
/// and no pass can be as short as reading the row. With AVX-512, of 128,256 tokens, it costs 0.3 times a maximum of the row
/// where 2,382 are kept, 1.9 where 13,656 are, 8 where 65,761 are, and 17 where all are.)
#[must_use]
pub fn entropy(log_probs: &LogProbs, sum: u64, xs: &[f32], weights: &[f32], ids: &[u32]) -> f64 {
    let (mut parts, mut lanes) = ([0.0; BLOCK], [0.0; LANES]);
    for ((xs, weights), ids) in xs.chunks(BLOCK).zip(weights.chunks(BLOCK)).zip(ids.chunks(BLOCK)) {
        let parts = &mut parts[..xs.len()];
        simd::store_parts(Level::current(), xs, weights, log_probs.scores(), sum as f64, parts);
        for (id, part) in ids.iter().zip(parts) {
            lanes[*id as usize % LANES] -= *part;
        }
    }
    lanes.iter().sum()
}

/// The entropy of a whole row with this maximum; what is at -inf weighs nothing. Nothing of its size is written.
#[must_use]
pub fn entropy_of_row(row: &[f32], maximum: f32, temperature: f64, sum: u64) -> f64 {
    let scores = LogProbs::new(maximum, temperature, sum).scores();
    let (level, scale) = (Level::current(), law::scale_of(temperature));
    let (mut weights, mut parts, mut lanes) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; LANES]);
    for xs in row.chunks(BLOCK) {
        let (weights, parts) = (&mut weights[..xs.len()], &mut parts[..xs.len()]);
        simd::store_weights(level, xs, maximum, scale, weights);
        simd::store_parts(level, xs, weights, scores, sum as f64, parts);
        for parts in parts.chunks(LANES) {
            lanes.iter_mut().zip(parts).for_each(|(lane, part)| *lane -= *part);
        }
    }
    lanes.iter().sum()
}

/// -p ln p of a token with integer weight `weight` in a set of weight `sum`; 0 where it weighs nothing.
#[must_use]
pub fn surprise(weight: u64, sum: u64, log_p: f64) -> f64 {
    if weight == 0 { 0.0 } else { -(weight as f64 / sum as f64 * log_p) }
}
