//! Where the law's order is cut among weighed logits: what [`crate::bins`] counts, mostly in fewer steps.
//!
//! A search in the weights' rounded sums leaves a few members, and the exact sum above them tells whether it was right.
//! Where what is left are many, there is a tie of many at one of its ends: the exact sum above that tells on which side
//! of it the cut lies, or which of its tokens is the last.

use crate::bins::{self, FEW};
use crate::law;
use crate::simd::{self, Level};
use crate::weighed::{self, Bracket, Weighed};

pub use crate::bins::{Cut, cut, span};

/// From so many on their float weights are searched first; and the part by which float32 sums of them are off at
/// most, generously.
const MANY: usize = 192;
const ROUNDED: f64 = 1e-4;

/// Of more logits than this no smaller part is looked for: each step is a pass over them.
const ENOUGH: usize = 1 << 13;

/// What is known of weighed logits before they are cut.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The sum of the integer weights.
    pub total: u64,
    /// Logits between which the cut lies.
    pub within: Bracket,
    /// Where it may be, and a step from there on.
    pub start: Option<(f32, f32)>,
}

impl Known {
    /// Where all logits lie between two, these included.
    #[must_use]
    pub fn between(lowest: f32, highest: f32, total: u64) -> Self {
        let (low, high) = (lowest.next_down(), highest.next_up());
        Self { total, within: Bracket { low, below_low: 0.0, high, below_high: total as f64 }, start: None }
    }

    /// The same, and the cut is likely to be here.
    #[must_use]
    pub fn and_likely(self, logit: f32, step: f32) -> Self {
        // With an open end the search goes there first.
        let within = Bracket { below_high: f64::INFINITY, ..self.within };
        Self { within, start: Some((logit, step)), ..self }
    }
}

/// Logits of one value that are a tie of many.
const TIED: usize = 4 * MANY;

/// From less than 1 / SHORT of all on, to look at each member is less work than a pass over all.
const SHORT: usize = 8;

/// [`cut`] where the weights are rint of float weights.
pub fn cut_by_weight(of: Weighed<'_>, known: Known, target: u64, members: &mut Vec<u32>) -> Cut {
    let Weighed { xs, weights } = of;
    let weigh = |at: usize| law::integer_weight(weights[at]);
    if xs.len() > MANY {
        let level = Level::current();
        let total = known.total as f64;
        let below = (known.total.saturating_sub(target) as f64).max(1.0);
        let mut found = known.within;
        let list = |found: Bracket, members: &mut Vec<u32>| {
            members.clear();
            simd::positions_between(level, xs, (found.low, found.high.next_down()), members);
            members.len() < TIED
        };
        // As near as leaves a few of equal weights. Where they are light and many: then once more, from what is known.
        let share = total / xs.len().min(ENOUGH) as f64;
        let mut nearly = share.min(below / FEW as f64) * (FEW / 3) as f64;
        for start in [known.start, None, None] {
            (found, nearly) = (bracket(&of, below, nearly, found, start), nearly / FEW as f64);
            if list(found, members) {
                break;
            }
            let untied = (found.low, found.high);
            for end in [found.high.next_down(), found.low] {
                match beside_tie(&of, members, (known.total, target), end, found) {
                    Ok(cut) => return cut,
                    Err(beside) => found = beside,
                }
            }
            if (found.low, found.high) != untied && list(found, members) {
                break;
            }
        }
        let above = simd::sum_above(level, xs, weights, found.high.next_down());
        let inside: u64 = members.iter().map(|at| weigh(*at as usize)).sum();
        if above < target && target - above <= inside {
            return bins::cut_among(xs, weigh, (target, target - above), members);
        }
    }
    cut(xs, weigh, target, members)
}

/// The cut in a tie of many at this logit; or what is found of it without the tie, if it is one. All that are equal to it
/// are among the members.
fn beside_tie(
    of: &Weighed<'_>,
    members: &[u32],
    (total, target): (u64, u64),
    tie: f32,
    found: Bracket,
) -> Result<Cut, Bracket> {
    let Weighed { xs, weights } = *of;
    let is_short = members.len() < xs.len() / SHORT;
    let among = || members.iter().filter(|at| xs[**at as usize] == tie).count();
    let count = if is_short { among() } else { weighed::count(xs, tie) };
    if count < TIED {
        return Err(found);
    }
    let Some(first) = xs.iter().position(|x| *x == tie) else { return Err(found) };
    let above = simd::sum_above(Level::current(), xs, weights, tie);
    let weight = law::integer_weight(weights[first]);
    let (all, below) = (count as u64 * weight, total.saturating_sub(above) as f64);
    if above >= target {
        return Err(Bracket { low: tie.next_up(), below_low: below, ..found });
    }
    if target - above > all {
        return Err(Bracket { high: tie, below_high: below - all as f64, ..found });
    }
    let place = bins::place_among_equals(target - above, weight, count);
    let equal = xs.iter().enumerate().filter(|(_, x)| **x == tie).map(|(at, _)| at);
    let last = equal.take(place + 1).last().unwrap_or(first);
    Ok(Cut { logit: tie, last, mass: above + (place as u64 + 1) * weight })
}

/// Logits between which the mass below exceeds `below`, however the sums were rounded.
fn bracket(of: &Weighed<'_>, below: f64, nearly: f64, within: Bracket, start: Option<(f32, f32)>) -> Bracket {
    let lower = of.enclose(below * (1.0 - ROUNDED), nearly, within, start);
    if lower.below_high >= below * (1.0 + ROUNDED) {
        return lower;
    }
    let within = Bracket { low: lower.high, below_low: lower.below_high, ..within };
    let upper = of.enclose(below * (1.0 + ROUNDED), nearly, within, start);
    Bracket { high: upper.high, below_high: upper.below_high, ..lower }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What another thread can leave: a target that no prefix reaches.
    #[test]
    fn a_target_beyond_all_weights_is_cut_at_the_last_of_any() {
        let mut members = vec![];
        for count in [1, 40, 100, 5000] {
            // Falling, with a tail of no weight that ends far below.
            let xs: Vec<f32> = (0..count).map(|at| -(at as f32)).chain([-1e6, -2e6]).collect();
            let weights: Vec<f32> = (0..xs.len()).map(|at| if at < count { 3.0 } else { 0.0 }).collect();
            let sum = 3 * count as u64;
            for target in [sum + 1, 2 * sum, 1 << 62] {
                let known = Known::between(-2e6, 0.0, sum);
                let cuts = [
                    cut(&xs, |at| law::integer_weight(weights[at]), target, &mut members),
                    cut_by_weight(Weighed { xs: &xs, weights: &weights }, known, target, &mut members),
                ];
                for cut in cuts {
                    assert_eq!(cut.mass, sum, "{count} logits, target {target}");
                    assert!(cut.last >= count - 1, "{count} logits, target {target}");
                }
            }
        }
    }

    /// Or no logit at all, or none of any weight: all that is there is kept.
    #[test]
    fn of_nothing_everything_is_kept() {
        let mut members = vec![];
        for count in [0, 1, 47, 300, 5000] {
            let kept: Vec<f32> = (0..count).map(|at| -((at % 1000) as f32)).collect();
            let ids: Vec<u32> = (0..count as u32).collect();
            let weights = vec![0.0; count];
            for target in [0, 1, 77] {
                let known = Known::between(-1000.0, 0.0, 0);
                let (mut xs, mut left) = (kept.clone(), ids.clone());
                let cut =
                    cut_by_weight(Weighed { xs: &kept, weights: &weights }, known, target, &mut members);
                assert_eq!(cut.mass, 0);
                cut.retain(&mut xs, &mut left);
                assert!(target == 0 || left == ids, "{count} logits, target {target}");
            }
        }
    }
    /// The search ends at a tie, in it or beside it, where counting in bins does.
    #[test]
    fn ties_of_many_are_cut_where_bins_cut_them() {
        let mut members = vec![];
        for (high, low) in [(1.0, 0.0_f32), (1.0, 1.0_f32.next_down())] {
            // Three in eight at each of two values, the others above, between and below them.
            let xs: Vec<f32> = (0..20_000_u32)
                .map(|at| match at.wrapping_mul(0x9E37_79B9) >> 29 {
                    0..3 => high,
                    3..6 => low,
                    _ => (at % 997) as f32 / 300.0 - 1.0,
                })
                .collect();
            let weights: Vec<f32> =
                xs.iter().map(|x| (x * 1000.0).exp2().clamp(1.0, 3e9) + x + 2.0).collect();
            let weigh = |at: usize| law::integer_weight(weights[at]);
            let total: u64 = (0..xs.len()).map(weigh).sum();
            let above = |bound: f32| (0..xs.len()).filter(|at| xs[*at] > bound).map(weigh).sum::<u64>();
            let edges = [above(high), above(high.next_down()), above(low), above(low.next_down())];
            let near = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1, edge + 5000]);
            for target in near.chain([1, total / 2, total - 1, total]) {
                let known = Known::between(-1.0, 3.0, total);
                let found =
                    cut_by_weight(Weighed { xs: &xs, weights: &weights }, known, target, &mut members);
                assert_eq!(found, cut(&xs, weigh, target, &mut members), "target {target} of {total}");
            }
        }
    }
}
