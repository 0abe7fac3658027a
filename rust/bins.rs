//! Where the law's order is cut, by counting: the shortest prefix of tokens, by logit descending and then by position,
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

use crate::simd::{self, Level};

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
pub(crate) const FEW: usize = 48;

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

/// The cut among members, which stand in the order of positions: all of what is above them, of the target, is
/// `target - left`.
pub(crate) fn cut_among(
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
pub(crate) fn place_among_equals(target: u64, weight: u64, count: usize) -> usize {
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
