//! Where the law's order is cut: the shortest prefix of tokens, by logit descending and then by position,
//! whose weights reach a target. With unit weights and target k it is top-k.
//!
//! The weight is counted in bins, from the highest logits on; the target falls into one of them, and its
//! members are binned again, until they are few enough to sort. The first bins divide the span of the logits
//! evenly, which mostly leaves a few members; the others are digits of the logit's bits, which separate
//! whatever is not equal. So the time is linear, whatever the row.

use crate::law;
use crate::simd::{self, Level};

/// What a prefix keeps: every logit above `logit`, and of the `tied` ones equal to it the first `ties`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// The lowest logit kept.
    pub logit: f32,
    /// How many tokens of that logit are kept.
    pub ties: usize,
    /// How many there are.
    pub tied: usize,
}

/// Bins of one step.
const BINS: usize = 1 << 11;

/// Where the digits of a key begin, from the highest: 11, 11 and 10 bits.
const SHIFTS: [u32; 3] = [21, 10, 0];

/// So few members are sorted.
const FEW: usize = 48;

/// A key that grows as the logit falls, equal for -0.0 and 0.0.
fn descending_key(x: f32) -> u32 {
    let bits = (x + 0.0).to_bits();
    if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits }
}

/// The cut of the shortest prefix of `xs` with a weight of at least `target`: 1 <= target <= the sum of all
/// weights. `members` is a buffer.
pub fn cut(xs: &[f32], weigh: impl Fn(usize) -> u64, target: u64, members: &mut Vec<u32>) -> Cut {
    let mut target = target;
    members.clear();
    if xs.len() <= FEW {
        members.extend(0..xs.len() as u32);
    } else {
        let (highest, lowest) =
            xs.iter().fold((f32::MIN, f32::MAX), |(high, low), &x| (high.max(x), low.min(x)));
        // Each of the two roundings is monotone, so the bins are in order whatever they are. (A span that
        // overflows puts all but the highest into the last bin, one of 0 all into the first.)
        let per_logit = (BINS - 1) as f32 / (highest - lowest).max(f32::MIN_POSITIVE);
        let bin = |at: usize| (((highest - xs[at]) * per_logit) as usize).min(BINS - 1);
        let mut bins = [0_u64; BINS];
        for at in 0..xs.len() {
            bins[bin(at)] += weigh(at);
        }
        let found = find(&bins, &mut target);
        members.extend((0..xs.len() as u32).filter(|&at| bin(at as usize) == found));
    }
    for shift in SHIFTS {
        if members.len() <= FEW {
            break;
        }
        let digit = |at: u32| descending_key(xs[at as usize]) as usize >> shift & (BINS - 1);
        let mut bins = [0_u64; BINS];
        for &at in members.iter() {
            bins[digit(at)] += weigh(at as usize);
        }
        let found = find(&bins, &mut target);
        members.retain(|&at| digit(at) == found);
    }
    cut_members(xs, weigh, target, members)
}

/// The bin in which the target falls, and in `target` what is left of it there.
fn find(bins: &[u64; BINS], target: &mut u64) -> usize {
    let mut found = 0;
    while found + 1 < BINS && bins[found] < *target {
        *target -= bins[found];
        found += 1;
    }
    found
}

/// The cut among a few members, or among many of one logit, which stand by position already.
fn cut_members(xs: &[f32], weigh: impl Fn(usize) -> u64, target: u64, members: &mut [u32]) -> Cut {
    if members.len() <= FEW {
        members.sort_unstable_by(|&a, &b| law::order((xs[a as usize], a), (xs[b as usize], b)));
    }
    let mut left = target;
    let mut place = 0;
    while place + 1 < members.len() && weigh(members[place] as usize) < left {
        left -= weigh(members[place] as usize);
        place += 1;
    }
    let logit = xs[members[place] as usize];
    let is_tied = |at: &&u32| xs[**at as usize] == logit;
    let ties = members[..=place].iter().rev().take_while(is_tied).count();
    let tied = ties + members[place + 1..].iter().take_while(is_tied).count();
    Cut { logit, ties, tied }
}

impl Cut {
    /// Keeps in `xs` and `ids` what the cut keeps, in order.
    pub fn retain(self, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
        simd::retain_at_least(Level::current(), self.logit, xs, ids);
        if self.ties == self.tied {
            return;
        }
        let mut ties = self.ties;
        let mut kept = 0;
        for at in 0..xs.len() {
            let x = xs[at];
            let tied = x == self.logit && ties > 0;
            ties -= usize::from(tied);
            (xs[kept], ids[kept]) = (x, ids[at]);
            kept += usize::from(x > self.logit || tied);
        }
        xs.truncate(kept);
        ids.truncate(kept);
    }
}
