//! Logits with their float weights, and where a mass of them lies: rounded sums, for estimates alone. And how many are
//! equal.

use crate::simd::{self, Level};

/// How many logits are equal to one.
#[must_use]
pub fn count(xs: &[f32], logit: f32) -> usize {
    let below = |bound| simd::count_below(Level::current(), xs, bound);
    below(logit.next_up()).saturating_sub(below(logit))
}

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

    /// The logits next to the place where the mass below exceeds `mass`, as near as that `nearly` is between them, or
    /// until no logit is. By bisection and interpolation; from a guess, with a first step, by doubled steps. Now and
    /// then it asks whether one value is left.
    #[must_use]
    pub fn enclose(&self, mass: f64, nearly: f64, within: Bracket, guess: Option<(f32, f32)>) -> Bracket {
        let mut found = within;
        if mass <= within.below_low {
            return Bracket { high: within.low.next_up(), below_high: within.below_low, ..within };
        }
        let inside = guess.filter(|(guess, _)| within.low < *guess && *guess < within.high);
        let (mut probe, mut step) = inside.unwrap_or_else(|| (found.beside(mass, nearly), 0.0));
        for turn in 1.. {
            if found.low.next_up() >= found.high {
                break;
            }
            probe = probe.clamp(found.low.next_up(), found.high.next_down());
            let (below, next) = self.mass_below(probe);
            if below <= mass {
                (found.low, found.below_low) = (next.min(found.high), below);
            } else {
                (found.high, found.below_high) = (probe, below);
            }
            if found.below_high - found.below_low <= nearly {
                break;
            }
            let is_open = found.below_high.is_infinite() || found.below_low == within.below_low;
            let stepped = if found.below_high.is_infinite() { found.low + step } else { found.high - step };
            probe = match turn % 6 {
                0 => found.low.next_up(),
                _ if is_open && inside.is_some() && found.low < stepped && stepped < found.high => stepped,
                1 | 3 | 4 => found.beside(mass, nearly),
                _ => found.low / 2.0 + found.high / 2.0,
            };
            step *= 2.0;
        }
        found
    }
}

/// Two logits and the mass below each: `low` has no more than what is looked for, `high` has more.
#[derive(Clone, Copy, Debug)]
pub struct Bracket {
    /// The lower logit.
    pub low: f32,
    /// The mass below it.
    pub below_low: f64,
    /// The higher one.
    pub high: f32,
    /// The mass below that one; infinite where it is unknown.
    pub below_high: f64,
}

impl Bracket {
    /// A logit with about so much mass below, if that grew evenly: on the farther end's side of it by a part of
    /// `nearly`, so that this end comes near too. The middle where one end is unknown.
    fn beside(&self, mass: f64, nearly: f64) -> f32 {
        if self.below_high.is_infinite() {
            return self.low / 2.0 + self.high / 2.0;
        }
        let (to_low, to_high) = (mass - self.below_low, self.below_high - mass);
        let aim = if to_low < to_high { to_low + nearly / 3.0 } else { to_low - nearly / 3.0 };
        let part = (aim / (to_low + to_high)).clamp(0.02, 0.98) as f32;
        self.low * (1.0 - part) + self.high * part
    }
}
