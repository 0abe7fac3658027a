//! Where the law's order is cut: the shortest prefix of tokens, by logit descending and then by position,
//! whose weights reach a target. With unit weights and target k it is top-k.
//!
//! A radix select, digits of the logit's bits from the highest: count the weight in every bin of the
//! digit, find the bin in which the target falls, go on with its members. Linear, whatever the row; the
//! last few members, or those of one logit, are taken one by one.

use crate::law;

/// What a prefix keeps: every logit above `logit`, and of those equal to it the first `ties` by position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// The lowest logit kept.
    pub logit: f32,
    /// How many tokens of that logit are kept.
    pub ties: usize,
}

/// Bits of a digit, from the highest: 11, 11 and 10.
const DIGITS: [(u32, u32); 3] = [(21, 11), (10, 11), (0, 10)];

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
    members.clear();
    members.extend(0..xs.len() as u32);
    let mut target = target;
    for (shift, bits) in DIGITS {
        if members.len() <= FEW {
            break;
        }
        let digit = |at: u32| (descending_key(xs[at as usize]) >> shift & ((1 << bits) - 1)) as usize;
        let mut bins = [0_u64; 1 << 11];
        for &at in members.iter() {
            bins[digit(at)] += weigh(at as usize);
        }
        let mut found = 0;
        while found + 1 < bins.len() && bins[found] < target {
            target -= bins[found];
            found += 1;
        }
        members.retain(|&at| digit(at) == found);
    }
    // What is left above the target lies among the members; those of one logit stand by position.
    members.sort_unstable_by(|&a, &b| law::order((xs[a as usize], a), (xs[b as usize], b)));
    let mut last = Cut { logit: f32::INFINITY, ties: 0 };
    for &at in members.iter() {
        let x = xs[at as usize];
        last = Cut { logit: x, ties: if x == last.logit { last.ties + 1 } else { 1 } };
        let weight = weigh(at as usize);
        if weight >= target {
            break;
        }
        target -= weight;
    }
    last
}

impl Cut {
    /// Keeps in `xs` and `ids` what the cut keeps, in order.
    pub fn retain(self, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
        let mut ties = self.ties;
        let mut kept = 0;
        for at in 0..xs.len() {
            let x = xs[at];
            let tied = x == self.logit && ties > 0;
            ties -= usize::from(tied);
            xs[kept] = x;
            ids[kept] = ids[at];
            kept += usize::from(x > self.logit || tied);
        }
        xs.truncate(kept);
        ids.truncate(kept);
    }
}
