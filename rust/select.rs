//! Where the law's order is cut: the shortest prefix of tokens, by logit descending and then by position,
//! whose weights reach a target. With unit weights and target k it is top-k.
//!
//! The weight is counted in bins, from the highest logits on; the target falls into one of them, and its
//! members are binned again, until they are few enough to sort or all of one logit. The first bins divide
//! the span of the logits evenly, which mostly leaves a few members; the others are digits of the logit's
//! bits, which separate whatever is not equal. So the time is linear, whatever the logits.
//!
//! A target beyond the sum of all weights, or logits of which none is left, come only of a row that another thread
//! changes between two reads of it. There is no right cut then, but there is always one: at the last token of any
//! weight, or below all tokens.

use crate::law;
use crate::simd::{self, Level};
use crate::weighed::{Bracket, Weighed};

/// What a prefix keeps: every logit above `logit`, and of those equal to it all up to position `last`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// The lowest logit kept.
    pub logit: f32,
    /// The position of the last token kept of those that have it.
    pub last: usize,
    /// The weight of the prefix.
    pub mass: u64,
}

/// Bins of one step.
const BINS: usize = 1 << 11;

/// Where the digits of a key begin, from the highest: 11, 11 and 10 bits.
const SHIFTS: [u32; 3] = [21, 10, 0];

/// So few members are sorted.
const FEW: usize = 48;

/// From so many on their float weights are searched first; and the part by which float32 sums of them are off at
/// most, generously.
const MANY: usize = 192;
const ROUNDED: f64 = 1e-4;

/// Of more logits than this no smaller part is looked for: each step is a pass over them.
const ENOUGH: usize = 1 << 13;

/// A key that grows as the logit falls, equal for -0.0 and 0.0.
fn descending_key(x: f32) -> u32 {
    let bits = (x + 0.0).to_bits();
    if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits }
}

/// The cut of the shortest prefix of `xs` with a weight of at least `target`: 1 <= target <= the sum of all
/// weights, else as above. `members` is a buffer.
pub fn cut(xs: &[f32], weigh: impl Fn(usize) -> u64, target: u64, members: &mut Vec<u32>) -> Cut {
    let mut left = target;
    members.clear();
    if xs.len() <= FEW {
        members.extend(0..xs.len() as u32);
    } else {
        let (lowest, highest) = span(xs);
        if lowest == highest {
            let place = place_among_equals(left, weigh(0), xs.len());
            return Cut { logit: lowest, last: place, mass: (place as u64 + 1) * weigh(0) };
        }
        let bin = even_bins(lowest, highest);
        let mut bins = [0_u64; BINS];
        for (at, &x) in xs.iter().enumerate() {
            bins[bin(x)] += weigh(at);
        }
        let found = find(&bins, &mut left);
        members.extend((0_u32..).zip(xs).filter(|(_, x)| bin(**x) == found).map(|(at, _)| at));
    }
    cut_among(xs, weigh, (target, left), members)
}

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

/// The same, weighed by rint of float weights, mostly in fewer steps: a search in the weights' rounded sums
/// leaves a few members, and the exact sum above them tells whether it was right.
pub fn cut_by_weight(of: Weighed<'_>, known: Known, target: u64, members: &mut Vec<u32>) -> Cut {
    let Weighed { xs, weights } = of;
    let weigh = |at: usize| law::integer_weight(weights[at]);
    if xs.len() > MANY {
        let level = Level::current();
        let total = known.total as f64;
        let below = (known.total.saturating_sub(target) as f64).max(1.0);
        let mut found = known.within;
        // As near as leaves a few of equal weights. Where they are light and many: then once more, from what is known.
        let share = total / xs.len().min(ENOUGH) as f64;
        let mut nearly = share.min(below / FEW as f64) * (FEW / 3) as f64;
        for start in [known.start, None, None] {
            (found, nearly) = (bracket(&of, below, nearly, found, start), nearly / FEW as f64);
            members.clear();
            simd::positions_between(level, xs, (found.low, found.high.next_down()), members);
            if members.len() < 4 * MANY {
                break;
            }
        }
        let above = simd::sum_above(level, xs, weights, found.high.next_down());
        let inside: u64 = members.iter().map(|at| weigh(*at as usize)).sum();
        if above < target && target - above <= inside {
            return cut_among(xs, weigh, (target, target - above), members);
        }
    }
    cut(xs, weigh, target, members)
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

/// The cut among members, which stand in the order of positions: all of what is above them, of the target, is
/// `target - left`.
fn cut_among(
    xs: &[f32],
    weigh: impl Fn(usize) -> u64,
    (target, mut left): (u64, u64),
    members: &mut Vec<u32>,
) -> Cut {
    for shift in SHIFTS {
        if members.len() <= FEW || members.iter().all(|&at| xs[at as usize] == xs[members[0] as usize]) {
            break;
        }
        let digit = |at: u32| descending_key(xs[at as usize]) as usize >> shift & (BINS - 1);
        let mut bins = [0_u64; BINS];
        for &at in members.iter() {
            bins[digit(at)] += weigh(at as usize);
        }
        let found = find(&bins, &mut left);
        members.retain(|&at| digit(at) == found);
    }
    if members.is_empty() {
        return Cut { logit: f32::MIN, last: xs.len().saturating_sub(1), mass: target - left };
    }
    if members.len() > FEW {
        // Many of one logit, by position already.
        let weight = weigh(members[0] as usize);
        let place = place_among_equals(left, weight, members.len());
        let last = members[place] as usize;
        return Cut { logit: xs[last], last, mass: target - left + (place as u64 + 1) * weight };
    }
    // The law's order as one integer: its comparison is a single instruction, and needs no branch.
    let mut order = [0_u64; FEW];
    let order = &mut order[..members.len()];
    for (place, &at) in order.iter_mut().zip(members.iter()) {
        *place = u64::from(descending_key(xs[at as usize])) << 32 | u64::from(at);
    }
    order.sort_unstable();
    let at = |place: usize| order[place] as u32 as usize;
    let mut place = 0;
    while place + 1 < order.len() && weigh(at(place)) < left {
        left -= weigh(at(place));
        place += 1;
    }
    let last = at(place);
    Cut { logit: xs[last], last, mass: target - left + weigh(last) }
}

/// The lowest and the highest logit.
#[must_use]
pub fn span(xs: &[f32]) -> (f32, f32) {
    xs.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| {
        (if x < low { x } else { low }, if x > high { x } else { high })
    })
}

/// The place of the last one needed of `count` tokens that weigh the same.
fn place_among_equals(target: u64, weight: u64, count: usize) -> usize {
    (target.div_ceil(weight.max(1)) as usize).clamp(1, count) - 1
}

/// Bins that divide the span of the logits evenly, the highest logits in the first.
///
/// Every step of it is monotone, the roundings too, so the bins are in order whatever they are. (Where the
/// span overflows there are two.) Adding 2**23 leaves a float32 with a unit of 1 and the bin in its lowest bits.
fn even_bins(lowest: f32, highest: f32) -> impl Fn(f32) -> usize {
    const LAST: f32 = (BINS - 1) as f32;
    let per_logit = LAST / (highest - lowest).max(f32::MIN_POSITIVE);
    move |x| {
        let place = (highest - x) * per_logit;
        let place = if place < LAST { place } else { LAST };
        (place + 8_388_608.0).to_bits() as usize & (BINS - 1)
    }
}

/// The bin in which the target falls, or the last of any weight, and in `left` what is left of it there.
fn find(bins: &[u64; BINS], left: &mut u64) -> usize {
    let mut found = 0;
    while found + 1 < BINS && bins[found] < *left {
        *left -= bins[found];
        found += 1;
    }
    if bins[found] == 0
        && let Some(last) = bins[..found].iter().rposition(|weight| *weight > 0)
    {
        *left += bins[last];
        found = last;
    }
    found
}

impl Cut {
    /// Whether it keeps the token at a position.
    #[must_use]
    pub fn keeps(self, at: usize, x: f32) -> bool {
        x > self.logit || (x == self.logit && at <= self.last)
    }

    /// Keeps in `xs` and `ids`, which it was found in, what it keeps, in order.
    pub fn retain(self, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
        for x in xs.iter_mut().skip(self.last + 1) {
            *x = if *x == self.logit { f32::NEG_INFINITY } else { *x };
        }
        simd::retain_at_least(Level::current(), self.logit, xs, ids);
    }

    /// Appends to `xs` and `ids` what it keeps of the row in which `last` is a position.
    pub fn gather(self, row: &[f32], xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
        let (with_ties, without) = row.split_at(self.last + 1);
        let level = Level::current();
        simd::gather_between(level, with_ties, (self.logit, f32::INFINITY), 0, xs, ids);
        simd::gather_between(level, without, (self.logit.next_up(), f32::INFINITY), with_ties.len(), xs, ids);
    }
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
}
