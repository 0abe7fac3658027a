//! Log-probabilities and ranks of given tokens, and of the best: nothing of the vocabulary's size.

use crate::chain::Kept;
use crate::entropy::LogProbs;
use crate::{Knobs, Step, law};

/// From so many tokens on their ranks are found together.
const MANY: usize = 8;

/// The tokens' ranks: 1 + the place in the law's order of the row.
#[must_use]
pub fn ranks(row: &[f32], tokens: &[u32]) -> Vec<usize> {
    if tokens.len() < MANY {
        return tokens.iter().map(|&id| rank(row, id as usize)).collect();
    }
    let key = |id: u32| (row[id as usize], id);
    let mut order: Vec<u32> = (0..tokens.len() as u32).collect();
    order.sort_unstable_by(|&a, &b| law::order(key(tokens[a as usize]), key(tokens[b as usize])));
    // before[i]: the tokens of the row that come before the i-th, and not before the one before it.
    let mut before = vec![0_usize; tokens.len() + 1];
    for id in 0..row.len() as u32 {
        let first = order.partition_point(|&at| law::order(key(tokens[at as usize]), key(id)).is_le());
        before[first] += 1;
    }
    let mut ranks = vec![0; tokens.len()];
    let mut rank = 1;
    for (place, &at) in order.iter().enumerate() {
        rank += before[place];
        ranks[at as usize] = rank;
    }
    ranks
}

/// The token's rank, in one counting pass.
#[must_use]
pub fn rank(row: &[f32], id: usize) -> usize {
    let x = row[id];
    let before = row[..id].iter().fold(0_u32, |count, other| count + u32::from(*other >= x));
    let behind = row[id + 1..].iter().fold(0_u32, |count, other| count + u32::from(*other > x));
    1 + before as usize + behind as usize
}

/// The log-probabilities of the tokens under what is kept, -inf for those that are not; and the best `top` of
/// the kept tokens with theirs, fewer if fewer are kept.
#[must_use]
pub fn logprobs(mut kept: Kept<'_>, tokens: &[u32], top: usize) -> (Vec<f64>, Vec<(u32, f64)>) {
    let log_probs = {
        let weight = kept.weight();
        LogProbs::new(kept.maximum(), kept.temperature(), weight)
    };
    let of = |token: &u32| kept.logit(*token).map_or(f64::NEG_INFINITY, |x| log_probs.of(x));
    let own = tokens.iter().map(of).collect();
    if top == 0 {
        return (own, vec![]);
    }
    (own, best(kept, &log_probs, top))
}

/// The first `top` of the kept tokens in the law's order, with their log-probabilities.
#[must_use]
pub fn best(mut kept: Kept<'_>, log_probs: &LogProbs, top: usize) -> Vec<(u32, f64)> {
    kept.take(Step::TopK, &Knobs { top_k: top, ..Knobs::default() });
    let (ids, xs) = kept.survivors();
    let mut best: Vec<(f32, u32)> = xs.iter().copied().zip(ids.iter().copied()).collect();
    best.sort_unstable_by(|a, b| law::order(*a, *b));
    best.into_iter().map(|(x, id)| (id, log_probs.of(x))).collect()
}
