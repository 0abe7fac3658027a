//! Logits with their float weights, and where a mass of them lies: rounded sums, for estimates alone.

use crate::simd::{self, Level};

/// The part of the mass, 1 / NEARLY, down to which a search goes.
const NEARLY: f64 = 100.0;

/// Logits and their float weights.
#[derive(Clone, Copy)]
pub struct Weighed<'a> {
    /// The logits.
    pub xs: &'a [f32],
    /// Their weights.
    pub weights: &'a [f32],
}

impl Weighed<'_> {
    /// The mass below a logit, and the least logit of the others.
    #[must_use]
    pub fn mass_below(&self, logit: f32) -> (f64, f32) {
        let (mass, next) = simd::sum_below(Level::current(), self.xs, self.weights, logit);
        (mass.into(), next)
    }

    /// The sum of the squares of the weights below a logit.
    #[must_use]
    pub fn squares_below(&self, logit: f32) -> f64 {
        simd::sum_squares_below(Level::current(), self.xs, self.weights, logit).into()
    }

    /// Two logits within the bounds: what is below the lower one weighs at most `mass`, and what is up to the higher
    /// one at least that or everything; nearly no mass lies between the two, or no logit. By bisection and
    /// interpolation; from a guess, with a first step, by doubled steps. Now and then it asks whether one value is
    /// left.
    #[must_use]
    pub fn enclose(&self, mass: f64, bounds: (f32, f32), guess: Option<(f32, f32)>) -> (f32, f32) {
        let (mut low, mut high) = bounds;
        if mass <= 0.0 {
            return (low, low);
        }
        let (mut below_low, mut below_high) = (0.0, f64::INFINITY);
        let inside = guess.filter(|(guess, _)| low < *guess && *guess < high);
        let (mut probe, mut step) = inside.unwrap_or((low / 2.0 + high / 2.0, 0.0));
        for turn in 1.. {
            if probe <= low || probe >= high {
                break;
            }
            let (below, next) = self.mass_below(probe);
            if below <= mass {
                (low, below_low) = (next.min(high), below);
            } else {
                (high, below_high) = (probe, below);
            }
            if below_high - below_low <= mass / NEARLY {
                break;
            }
            let is_open = below_high.is_infinite() || below_low == 0.0;
            let stepped = if below_high.is_infinite() { low + step } else { high - step };
            let part = ((mass - below_low) / (below_high - below_low)) as f32;
            probe = match turn % 6 {
                0 => low.next_up(),
                _ if is_open && inside.is_some() && low < stepped && stepped < high => stepped,
                1 | 3 if !is_open => low + (high - low) * part.clamp(0.1, 0.9),
                _ => low / 2.0 + high / 2.0,
            };
            step *= 2.0;
        }
        (low, high.next_down())
    }
}
