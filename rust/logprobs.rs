//! Log-probabilities and ranks of given tokens, and of the best: nothing of the vocabulary's size.

use crate::chain::Kept;
use crate::entropy::LogProbs;
use crate::{Knobs, Step, law};

/// From so many tokens on their ranks are found together.
const MANY: usize = 8;

/// So many of the best are looked for without a copy of what is kept.
const FEW: usize = 32;

/// Logits that are compared together.
const BLOCK: usize = 64;

/// After so many tokens that were found and moved others, another way is taken.
const MOST_MOVES: usize = 4096;

/// The tokens' ranks: 1 + the place in the law's order of the row.
///
/// # Panics
/// Where a token is none of the row's.
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
///
/// # Panics
/// Where the token is none of the row's.
#[must_use]
pub fn rank(row: &[f32], id: usize) -> usize {
    let x = row[id];
    let before = row[..id].iter().fold(0_u32, |count, other| count + u32::from(*other >= x));
    let behind = row[id + 1..].iter().fold(0_u32, |count, other| count + u32::from(*other > x));
    1 + before as usize + behind as usize
}

/// The log-probabilities of the tokens under what is kept, -inf for those that are not; and the best `top` of
/// the kept tokens with theirs, fewer if fewer are kept.
///
/// ```
/// use rheostat::scratch::Scratch;
/// use rheostat::{Knobs, chain, logprobs};
///
/// let mut scratch = Scratch::default();
/// let kept = chain::keep(&[1.0, 0.0, -9.0], &Knobs::default(), &[], &mut scratch)?;
/// let (own, best) = logprobs::logprobs(kept, &[2], 2);
/// assert_eq!(best.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [0, 1]);
/// assert!((best[0].1 - -0.313_294).abs() < 1e-6 && own[0] < -9.0);
/// # Ok::<(), rheostat::Error>(())
/// ```
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
    if let Some(first) = first_by_insertion(kept.logits(), top) {
        return first.into_iter().map(|(x, place)| (kept.id_at(place), log_probs.of(x))).collect();
    }
    kept.take(Step::TopK, &Knobs { top_k: top, ..Knobs::default() });
    let (ids, xs) = kept.survivors();
    let mut best: Vec<(f32, u32)> = xs.iter().copied().zip(ids.iter().copied()).collect();
    best.sort_unstable_by(|a, b| law::order(*a, *b));
    best.into_iter().map(|(x, id)| (id, log_probs.of(x))).collect()
}

/// The first `top` of the logits above -inf in the law's order, with their places; None where looking for them this
/// way does not pay. Most blocks have none that is larger than the last of those found so far, which one comparison of
/// all tells. A place that is found moves those behind it, so that rows which rise all along are better sorted.
fn first_by_insertion(logits: &[f32], top: usize) -> Option<Vec<(f32, usize)>> {
    if !(1..=FEW).contains(&top) {
        return None;
    }
    let mut found: Vec<(f32, usize)> = Vec::with_capacity(top + 1);
    let (mut least, mut moves) = (f32::NEG_INFINITY, 0);
    for (block, xs) in logits.chunks(BLOCK).enumerate() {
        #[expect(clippy::needless_bitwise_bool, reason = "a branch for each logit would keep vectors out")]
        let any_is_larger = xs.iter().fold(false, |any, x| any | (*x > least));
        if !any_is_larger {
            continue;
        }
        for (at, x) in xs.iter().enumerate().filter(|(_, x)| **x > f32::NEG_INFINITY) {
            if found.len() == top && *x <= least {
                continue;
            }
            let place = found.partition_point(|(other, _)| other >= x);
            found.insert(place, (*x, block * BLOCK + at));
            found.truncate(top);
            moves += 1;
            if found.len() == top {
                least = found[top - 1].0;
            }
        }
        if moves > MOST_MOVES {
            return None;
        }
    }
    Some(found)
}
