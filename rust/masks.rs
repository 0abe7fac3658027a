//! The masks: tokens that may not come next. They act before everything else, and the logit of a forbidden
//! token is never read, so whatever stands there (a NaN, say) is no error.
//!
//! The way that is taken writes the row once, word by word of a bitmask or id by id of an allowed list, and
//! then takes out the few tokens that the others name. Whether anything is left is asked of what was written,
//! where a first token ends the search. Only where nothing seems left are the sets themselves computed: they
//! tell an empty set from a row without a finite logit, which masks were to blame, and whether min_tokens
//! yields.

use std::borrow::Cow;
use std::sync::Arc;

use crate::Error;
use crate::history::History;
use crate::knobs::Rule;
use crate::memory::Moment;
use crate::simd::{self, Level};

/// The rule of `vocab_size`, which is also at most the row's width.
pub const VOCAB_SIZE: Rule<i128> = ("must be at least 1", |size| size >= 1);
/// The rule of `no_repeat_ngram_size` and `min_tokens`.
pub const COUNT: Rule<i128> = ("must be at least 0, where 0 is off", |count| count >= 0);

/// Token ids, shared between rows.
pub type Ids = Arc<[u32]>;

/// One row's masks. The default forbids nothing; ids beyond the row say nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Masks {
    /// How many tokens there are; the rest of a wider row (a padded head) is forbidden.
    pub vocab_size: Option<usize>,
    /// The only tokens that may come.
    pub allowed_token_ids: Option<Ids>,
    /// Bit i % 32 of word i // 32 is 1 where token i is allowed; tokens past the end are forbidden, bits past
    /// the row's say nothing.
    pub bitmask: Option<Arc<[i32]>>,
    /// Tokens that may not come.
    pub banned_token_ids: Option<Ids>,
    /// Id sequences that may not be completed.
    pub bad_words: Option<Arc<[Ids]>>,
    /// No sequence of that many tokens may come twice; 0 is off. (fairseq)
    pub no_repeat_ngram_size: usize,
    /// Nothing may end the output while it is shorter, except where a bitmask leaves nothing else.
    pub min_tokens: usize,
    /// What ends a sequence.
    pub eos_token_id: Option<Ids>,
    /// What else ends a sequence.
    pub stop_token_ids: Option<Ids>,
}

impl Masks {
    /// Whether no mask is set that forbids something of a row of this width.
    #[must_use]
    pub fn is_none(&self, width: usize) -> bool {
        let Self { vocab_size, allowed_token_ids, bitmask, banned_token_ids, bad_words, .. } = self;
        vocab_size.is_none_or(|size| size >= width)
            && allowed_token_ids.is_none()
            && bitmask.is_none()
            && banned_token_ids.as_ref().is_none_or(|ids| ids.is_empty())
            && bad_words.as_ref().is_none_or(|words| words.is_empty())
            && self.no_repeat_ngram_size == 0
            && (self.min_tokens == 0 || (self.eos_token_id.is_none() && self.stop_token_ids.is_none()))
    }

    /// Writes the row with every forbidden token at -inf into `out`.
    ///
    /// # Errors
    /// [`Error::NothingLeft`] where every token is forbidden.
    pub fn apply(
        &self,
        moment: Moment<'_>,
        row: &[f32],
        at_row: usize,
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let words = self.words(moment);
        if words.is_none() && self.is_none(row.len()) {
            out.clear();
            out.extend_from_slice(row);
            return Ok(());
        }
        self.copy_allowed(words, row, out);
        if let Some(tail) = out.get_mut(self.vocab_size.unwrap_or(row.len())..) {
            tail.fill(f32::NEG_INFINITY);
        }
        for (_, forbidden) in self.forbidden_ids(moment) {
            for id in forbidden.iter() {
                if let Some(x) = out.get_mut(*id as usize) {
                    *x = f32::NEG_INFINITY;
                }
            }
        }
        if self.leaves_one(words, out) {
            return Ok(());
        }
        let (left, _) = self.left(moment, row.len(), at_row)?;
        for (i, (x, out)) in row.iter().zip(out).enumerate() {
            *out = if left.holds(i) { *x } else { f32::NEG_INFINITY };
        }
        Ok(())
    }

    /// The bitmask that counts now.
    fn words<'a>(&'a self, moment: Moment<'a>) -> Option<&'a [i32]> {
        moment.bitmask.or(self.bitmask.as_deref())
    }

    /// The row where the allowed list and the bitmask let it through.
    fn copy_allowed(&self, words: Option<&[i32]>, row: &[f32], out: &mut Vec<f32>) {
        out.resize(row.len(), 0.0);
        let Some(allowed) = &self.allowed_token_ids else {
            match words {
                None => out.copy_from_slice(row),
                Some(words) => simd::store_masked(Level::current(), row, words, out),
            }
            return;
        };
        out.fill(f32::NEG_INFINITY);
        for &id in allowed.iter().filter(|id| words.is_none_or(|words| has_bit(words, **id as usize))) {
            if let (Some(out), Some(x)) = (out.get_mut(id as usize), row.get(id as usize)) {
                *out = *x;
            }
        }
    }

    /// Whether a token of the written row is surely left; where one may be is known from the masks.
    fn leaves_one(&self, words: Option<&[i32]>, out: &[f32]) -> bool {
        let is_left = |x: &f32| *x != f32::NEG_INFINITY;
        if let Some(allowed) = &self.allowed_token_ids {
            return allowed.iter().any(|id| out.get(*id as usize).is_some_and(is_left));
        }
        match words {
            None => out.iter().any(is_left),
            Some(words) => {
                words.iter().zip(out.chunks(32)).any(|(word, xs)| *word != 0 && xs.iter().any(is_left))
            }
        }
    }

    /// The masks that name single tokens, in their order.
    fn forbidden_ids(&self, moment: Moment<'_>) -> [(&'static str, Cow<'_, [u32]>); 4] {
        let history = moment.history;
        let too_early = history.output().len() < self.min_tokens;
        let enders = [&self.eos_token_id, &self.stop_token_ids].into_iter().flatten().filter(|_| too_early);
        [
            ("banned_token_ids", self.banned_token_ids.as_deref().unwrap_or_default().into()),
            ("bad_words", self.ends_of_bad_words(history).into()),
            ("no_repeat_ngram_size", self.ends_of_ngrams(moment).into()),
            ("min_tokens", enders.flat_map(|ids| ids.iter().copied()).collect()),
        ]
    }

    /// The last id of every word whose other ids the sequence ends with.
    fn ends_of_bad_words(&self, history: &History) -> Vec<u32> {
        let words = self.bad_words.as_deref().unwrap_or_default();
        let ends = words.iter().filter_map(|word| word.split_last());
        ends.filter(|(_, others)| history.all().ends_with(others)).map(|(last, _)| *last).collect()
    }

    /// The tokens that would complete an n-gram which the sequence already holds.
    fn ends_of_ngrams(&self, moment: Moment<'_>) -> Vec<u32> {
        match self.no_repeat_ngram_size {
            0 => vec![],
            n => moment.memory.ends_of_ngrams(moment.history, n),
        }
    }

    /// The tokens that may come next, and the names of the masks that forbid something: the sets by
    /// definition.
    ///
    /// # Errors
    /// [`Error::NothingLeft`] where every token is forbidden.
    pub fn left(
        &self,
        moment: Moment<'_>,
        width: usize,
        at_row: usize,
    ) -> Result<(TokenSet, Vec<&'static str>), Error> {
        let mut left = TokenSet::new(width);
        let mut names = vec![];
        if self.vocab_size.is_some_and(|size| size < width) {
            names.push("vocab_size");
            left.retain(|i| self.vocab_size.is_some_and(|size| i < size));
        }
        if let Some(allowed) = &self.allowed_token_ids {
            let mut others = TokenSet::new(width);
            others.remove(allowed);
            if !others.is_empty() {
                names.push("allowed_token_ids");
            }
            left.retain(|i| !others.holds(i));
        }
        let words = self.words(moment);
        if let Some(words) = words {
            if (0..width).any(|i| !has_bit(words, i)) {
                names.push("bitmask");
            }
            left.retain(|i| has_bit(words, i));
        }
        for (name, forbidden) in self.forbidden_ids(moment) {
            let before = left.clone();
            left.remove(&forbidden);
            if name == "min_tokens" && words.is_some() && left.is_empty() {
                left = before; // a grammar that is complete can but end
            } else if forbidden.iter().any(|id| (*id as usize) < width) {
                names.push(name);
            }
        }
        if left.is_empty() { Err(Error::NothingLeft { names, row: at_row }) } else { Ok((left, names)) }
    }
}

fn has_bit(words: &[i32], i: usize) -> bool {
    words.get(i / 32).is_some_and(|word| *word as u32 >> (i % 32) & 1 == 1)
}

/// A set of the tokens of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSet(Vec<bool>);

impl TokenSet {
    /// All tokens of a row.
    fn new(width: usize) -> Self {
        Self(vec![true; width])
    }

    /// Whether the token is in it.
    #[must_use]
    pub fn holds(&self, token: usize) -> bool {
        self.0.get(token).is_some_and(|holds| *holds)
    }

    fn is_empty(&self) -> bool {
        !self.0.contains(&true)
    }

    fn retain(&mut self, stays: impl Fn(usize) -> bool) {
        for (i, holds) in self.0.iter_mut().enumerate() {
            *holds = *holds && stays(i);
        }
    }

    fn remove(&mut self, ids: &[u32]) {
        for id in ids {
            if let Some(holds) = self.0.get_mut(*id as usize) {
                *holds = false;
            }
        }
    }
}
