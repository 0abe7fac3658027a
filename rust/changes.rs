//! The logits of a row that biases and penalties change, while they do so: nothing of the row's size is written.

use crate::simd::Logits;

/// Buffers for the tokens that may come and the logits that are changed. What they hold between rows is unspecified.
#[derive(Debug, Default)]
pub struct Changes {
    /// A bit for each token whose logit stands in `values`.
    changed: Vec<u32>,
    /// The changed logits at their tokens' places; what else stands there is unspecified.
    values: Vec<f32>,
    /// The changed logits by id, none at -inf: what is left when all is done.
    list: Vec<(u32, f32)>,
}

/// A row that is being changed.
pub struct Changing<'a> {
    logits: Logits<'a>,
    /// A bit for each token that may come and whose logit is the row's own.
    allowed: &'a mut [u32],
    changes: &'a mut Changes,
}

/// The word and the bit of a token.
fn bit_of(token: usize) -> (usize, u32) {
    (token / 32, 1 << (token % 32))
}

impl Changes {
    /// Begins with a row of which `allowed` says what may come.
    pub fn begin<'a>(&'a mut self, logits: Logits<'a>, allowed: &'a mut [u32]) -> Changing<'a> {
        self.changed.clear();
        self.changed.resize(logits.len().div_ceil(32), 0);
        if self.values.len() < logits.len() {
            self.values.resize(logits.len(), 0.0);
        }
        Changing { logits, allowed, changes: self }
    }

    /// The logits that were changed, by id; not those at -inf.
    #[must_use]
    pub fn list(&self) -> &[(u32, f32)] {
        &self.list
    }

    /// Forgets what was changed.
    pub fn clear(&mut self) {
        self.list.clear();
    }
}

impl Changing<'_> {
    /// How many tokens the row has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.logits.len()
    }

    /// The token's logit, -inf where it may not come; None where there is no such token.
    #[must_use]
    pub fn get(&self, token: usize) -> Option<f32> {
        if token >= self.width() {
            return None;
        }
        let (word, bit) = bit_of(token);
        Some(if self.changes.changed[word] & bit != 0 {
            self.changes.values[token]
        } else if self.allowed[word] & bit != 0 {
            self.logits.at(token)
        } else {
            f32::NEG_INFINITY
        })
    }

    /// Changes the logit of a token that is there.
    pub fn set(&mut self, token: usize, logit: f32) {
        let (word, bit) = bit_of(token);
        self.changes.changed[word] |= bit;
        self.allowed[word] &= !bit;
        self.changes.values[token] = logit;
    }

    /// Ends: the changes stand in the list. Whether a token is left.
    #[must_use]
    pub fn end(self) -> bool {
        let Changes { changed, values, list } = self.changes;
        list.clear();
        for (at, word) in changed.iter().enumerate().filter(|(_, word)| **word != 0) {
            let mut word = *word;
            while word != 0 {
                let token = at * 32 + word.trailing_zeros() as usize;
                if values[token] != f32::NEG_INFINITY {
                    list.push((token as u32, values[token]));
                }
                word &= word - 1;
            }
        }
        let is_left = |at: usize, word: u32| {
            (0..32).any(|bit| word >> bit & 1 == 1 && self.logits.at(at * 32 + bit) != f32::NEG_INFINITY)
        };
        !list.is_empty() || self.allowed.iter().enumerate().any(|(at, word)| *word != 0 && is_left(at, *word))
    }
}
