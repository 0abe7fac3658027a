//! Speculative decoding: whether a drafted token stays, and what takes its place, in exact integers.
//!
//! Leviathan, Kalman and Matias 2023, "Fast Inference from Transformers via Speculative Decoding": a token that a
//! draft drew from q stays with probability min(1, p / q), else one is drawn from max(0, p - q), and what comes out
//! is distributed as p. Here p = Wp / Sp and q = Wq / Sq over the kept sets, so p - q has the sign of
//! Wp * Sq - Wq * Sp: products below 2**106, whose sum over a row is at most Sp * Sq <= 2**126.

use crate::rng::{ACCEPT, RESIDUAL};

/// A kept set with its integer weights, in id order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// The kept tokens' ids, ascending.
    pub ids: Vec<u32>,
    /// Their integer weights.
    pub weights: Vec<u64>,
    /// The sum of the weights.
    pub sum: u64,
}

impl Distribution {
    /// The weight of a token, if it is kept.
    #[must_use]
    pub fn weight(&self, id: u32) -> Option<u64> {
        self.ids.binary_search(&id).ok().map(|at| self.weights[at])
    }
}

/// The token that stands in the place of the drafted one: itself where it is accepted. `words` is the block of
/// chance at that place. None where the draft cannot have drawn it: it is not kept there, or weighs nothing.
///
/// ```
/// use rheostat::chain::{self, Kept};
/// use rheostat::scratch::Scratch;
/// use rheostat::verify::verify;
/// use rheostat::{Knobs, rng};
///
/// let mut scratch = Scratch::default();
/// let mut distribution =
///     |row: &[f32]| chain::keep(row, &Knobs::default(), &[], &mut scratch).map(Kept::distribution);
/// let draft = distribution(&[0.0, 0.0, f32::NEG_INFINITY])?;
/// let target = distribution(&[1.0, f32::NEG_INFINITY, 1.0])?;
/// let words = rng::words(42, 0, 0);
/// assert_eq!(verify(0, &draft, &target, words), Some(0)); // as likely in both: it stays
/// assert_eq!(verify(1, &draft, &target, words), Some(2)); // never in the target: what the draft has too little of
/// assert_eq!(verify(2, &draft, &target, words), None); // the draft cannot have drawn it
/// # Ok::<(), rheostat::Error>(())
/// ```
#[must_use]
pub fn verify(drafted: u32, draft: &Distribution, target: &Distribution, words: [u64; 4]) -> Option<u32> {
    let weight = draft.weight(drafted).filter(|weight| *weight > 0)?;
    let q = u128::from(weight) * u128::from(target.sum);
    let p = u128::from(target.weight(drafted).unwrap_or(0)) * u128::from(draft.sum);
    Some(if scale(words[ACCEPT], q) < p { drafted } else { residual(draft, target, words[RESIDUAL]) })
}

/// floor(u * n / 2**64) for n below 2**127.
fn scale(u: u64, n: u128) -> u128 {
    let (high, low) = (n >> 64, n & u128::from(u64::MAX));
    u128::from(u) * high + ((u128::from(u) * low) >> 64)
}

/// The first id whose cumulative residual weight exceeds floor(u * R / 2**64). R > 0: the refused token's q is not
/// 0, so q > p there, and as p - q sums to 0 over the row, p > q elsewhere.
fn residual(draft: &Distribution, target: &Distribution, u: u64) -> u32 {
    let excess = || {
        let mut at = 0;
        target.ids.iter().zip(&target.weights).map(move |(&id, &weight)| {
            while draft.ids.get(at).is_some_and(|other| *other < id) {
                at += 1;
            }
            let other = if draft.ids.get(at) == Some(&id) { draft.weights[at] } else { 0 };
            let (p, q) =
                (u128::from(weight) * u128::from(draft.sum), u128::from(other) * u128::from(target.sum));
            (id, p.saturating_sub(q))
        })
    };
    let mut rest = scale(u, excess().map(|(_, weight)| weight).sum());
    let mut last = 0;
    for (id, weight) in excess() {
        if weight > rest {
            return id;
        }
        rest -= weight;
        last = id;
    }
    last // not reached: R > 0, and what was drawn is below it
}
