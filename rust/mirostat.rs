//! Mirostat 2: the tokens whose surprise is at most mu, which follows the surprise of what was drawn, so that
//! the text stays about as surprising as tau. (Basu et al. 2021; llama.cpp)

use crate::entropy::LogProbs;

/// ln 2: a surprise is counted in bits.
const LN_2: f64 = std::f64::consts::LN_2;

/// The knobs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirostat {
    /// The surprise aimed at, in bits.
    pub tau: f64,
    /// How fast mu follows.
    pub eta: f64,
}

impl Mirostat {
    /// mu before the first token. It is finite whatever the knobs are, so that a snapshot can be told from other
    /// bytes, and infinity never meets infinity.
    #[must_use]
    pub fn start(&self) -> f64 {
        finite(2.0 * self.tau)
    }

    /// mu after a token of this surprise; finite as well.
    #[must_use]
    pub fn follow(&self, mu: f64, surprise: f64) -> f64 {
        finite(mu - self.eta * (surprise - self.tau))
    }
}

fn finite(mu: f64) -> f64 {
    mu.clamp(f64::MIN, f64::MAX)
}

/// -log2 p of a kept token.
#[must_use]
pub fn surprise(log_probs: &LogProbs, x: f32) -> f64 {
    -log_probs.of(x) / LN_2
}

/// The lowest logit in [`-f32::MAX`, maximum] whose surprise is at most mu; None where none is.
///
/// Every operation of a surprise is monotone in the logit, its rounding too, so the answer is found by halving
/// the float32 numbers, of which there are 2**32, and no other token is asked.
#[must_use]
pub fn least_logit(log_probs: &LogProbs, maximum: f32, mu: f64) -> Option<f32> {
    let stays = |x: f32| surprise(log_probs, x) <= mu;
    if !stays(maximum) {
        return None;
    }
    // ordered(place) grows with the place: the negative numbers, then the others
    let place = |x: f32| {
        let bits = (x + 0.0).to_bits();
        if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
    };
    let ordered = |place: u32| f32::from_bits(if place >> 31 == 1 { place & !(1 << 31) } else { !place });
    let (mut low, mut high) = (place(f32::MIN), place(maximum));
    while low < high {
        let middle = low + (high - low) / 2;
        if stays(ordered(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(ordered(high))
}
