//! DRY, "don't repeat yourself": a token that would continue a repetition loses the more the longer it is.
//! (p-e-w 2024, koboldcpp, llama.cpp)
//!
//! A token continues a repetition of length k if it followed, somewhere earlier, the same k tokens that the
//! sequence ends with now. A breaker ends what counts: a match never reaches back over one, and a breaker
//! itself is never penalised. All matches together are one pass over the history ([`repeats`]), however much
//! of it repeats.

use std::sync::Arc;

use crate::history::{Tally, repeats, window};
use crate::knobs::Rule;
use crate::penalties::RowInStep;

/// The rule of `dry_multiplier`.
pub const MULTIPLIER: Rule<f64> =
    ("must be at least 0 and finite in float32", |m| (0.0..=f64::from(f32::MAX)).contains(&m));
/// The rule of `dry_base`.
pub const BASE: Rule<f64> =
    ("must be at least 1 and finite in float32", |b| (1.0..=f64::from(f32::MAX)).contains(&b));
/// The rule of `dry_allowed_length`.
pub const LENGTH: Rule<i128> = ("must be at least 0", |n| n >= 0);

/// One row's knobs of DRY. The default changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Dry {
    /// Times the power is what a token loses; 0 is off.
    pub multiplier: f64,
    /// The power's base.
    pub base: f64,
    /// Repetitions shorter than this cost nothing.
    pub allowed_length: usize,
    /// How much of the history is looked at; None is all.
    pub last_n: Option<usize>,
    /// Tokens that no repetition reaches back over.
    pub sequence_breakers: Option<Arc<[u32]>>,
}

impl Default for Dry {
    fn default() -> Self {
        Self { multiplier: 0.0, base: 1.75, allowed_length: 2, last_n: None, sequence_breakers: None }
    }
}

impl Dry {
    /// x - multiplier * float32(base ** n), n what the repetition's length has over the allowed length.
    pub(crate) fn apply(&self, row: &mut RowInStep<'_, '_>, history: &[u32]) {
        let multiplier = self.multiplier as f32;
        let ids = window(history, self.last_n);
        if multiplier == 0.0 || ids.len() < 2 {
            return;
        }
        let mut breakers = self.sequence_breakers.as_deref().unwrap_or_default().to_vec();
        breakers.sort_unstable();
        let is_breaker = |id: &u32| breakers.binary_search(id).is_ok();
        let limit = ids.iter().rev().position(is_breaker).unwrap_or(ids.len());
        Tally::with(row.width(), |mut tally| {
            // The first token followed nothing. A tally holds 1 + the longest repetition.
            for (length, token) in repeats(ids).take(ids.len() - 1) {
                if let Some(longest) = tally.at(token).filter(|_| !is_breaker(&token)) {
                    *longest = (*longest).max(length.min(limit) as u32 + 1);
                }
            }
            let mut powers = Powers::of(self.base);
            for token in ids {
                let length = tally.take(*token) as usize;
                if let Some(excess) = length.checked_sub(self.allowed_length.saturating_add(1)) {
                    let loss = multiplier * powers.get(excess);
                    row.set(*token, |x| x - loss);
                }
            }
        });
    }
}

/// base ** n by repeated products in float64, each rounded to float32.
struct Powers {
    base: f64,
    last: f64,
    known: Vec<f32>,
}

impl Powers {
    fn of(base: f64) -> Self {
        Self { base: f64::from(base as f32), last: 1.0, known: vec![1.0] }
    }

    fn get(&mut self, n: usize) -> f32 {
        while self.known.len() <= n {
            self.last *= self.base;
            self.known.push(self.last as f32);
        }
        self.known[n]
    }
}
