//! The masks: tokens that may not come next. They act before everything else, and the logit of a forbidden
//! token is never read, so whatever stands there (a NaN, say) is no error.
//!
//! What they leave is one bit a token: the words of a bitmask, or those of an allowed list, out of which come the
//! tokens that the others name. Nothing of the row is read for that, and nothing of its size written but these words.

use std::borrow::Cow;
use std::sync::Arc;

use crate::Error;
use crate::history::History;
use crate::knobs::Rule;
use crate::memory::Moment;

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

    /// Writes a bit for each token of a row of this width that may come, 32 in a word.
    ///
    /// ```
    /// use rheostat::Error;
    /// use rheostat::history::History;
    /// use rheostat::masks::Masks;
    /// use rheostat::memory::{Memory, Moment, Needs};
    ///
    /// let history = History::default();
    /// let memory = Memory::for_one_call(&history, Needs::default(), 4);
    /// let moment = Moment { history: &history, memory: &memory, bitmask: None };
    ///
    /// let mut masks = Masks { bitmask: Some([0b1011].into()), ..Masks::default() };
    /// masks.banned_token_ids = Some([0].into());
    /// let mut allowed = vec![];
    /// masks.allow(moment, 4, 0, &mut allowed)?;
    /// assert_eq!(allowed, [0b1010]);
    ///
    /// masks.vocab_size = Some(1);
    /// let error = masks.allow(moment, 4, 0, &mut allowed);
    /// let names = vec!["vocab_size", "bitmask", "banned_token_ids"];
    /// assert_eq!(error, Err(Error::NothingLeft { names, row: 0 }));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NothingLeft`] where every token is forbidden.
    pub fn allow(
        &self,
        moment: Moment<'_>,
        width: usize,
        at_row: usize,
        allowed: &mut Vec<u32>,
    ) -> Result<(), Error> {
        self.begin(self.words(moment), width, allowed);
        let [others @ .., (_, enders)] = self.forbidden_ids(moment);
        for (_, forbidden) in others {
            forbid(&forbidden, allowed);
        }
        let leaves_one = |allowed: &[u32]| allowed.iter().any(|word| *word != 0);
        if self.words(moment).is_none() {
            forbid(&enders, allowed);
        } else {
            // A grammar that is complete can but end.
            let few: Vec<u32> = enders.iter().copied().filter(|id| has_bit(allowed, *id as usize)).collect();
            forbid(&few, allowed);
            if !leaves_one(allowed) {
                for id in few {
                    set_bit(allowed, id);
                }
            }
        }
        if leaves_one(allowed) {
            return Ok(());
        }
        Err(Error::NothingLeft { names: self.names(moment, width, allowed), row: at_row })
    }

    /// The bitmask that counts now.
    fn words<'a>(&'a self, moment: Moment<'a>) -> Option<&'a [i32]> {
        moment.bitmask.or(self.bitmask.as_deref())
    }

    /// What the vocabulary, the allowed list and the bitmask let through.
    fn begin(&self, words: Option<&[i32]>, width: usize, allowed: &mut Vec<u32>) {
        let vocab = self.vocab_size.unwrap_or(width).min(width);
        let (whole, rest) = (vocab / 32, (1 << (vocab % 32)) - 1);
        let word = |at: usize| words.map_or(!0, |words| words.get(at).map_or(0, |word| *word as u32));
        allowed.clear();
        if let Some(ids) = &self.allowed_token_ids {
            allowed.resize(width.div_ceil(32), 0);
            for &id in ids.iter().filter(|id| (**id as usize) < vocab) {
                allowed[id as usize / 32] |= word(id as usize / 32) & 1 << (id % 32);
            }
            return;
        }
        match words {
            None => allowed.resize(whole, !0),
            Some(words) => allowed.extend(words.iter().take(whole).map(|word| *word as u32)),
        }
        allowed.resize(width.div_ceil(32), 0);
        if let Some(last) = allowed.get_mut(whole) {
            *last = word(whole) & rest;
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

    /// The names of the masks that forbid something of a row of this width, in their order, where this is what they
    /// have left.
    #[must_use]
    pub fn names(&self, moment: Moment<'_>, width: usize, left: &[u32]) -> Vec<&'static str> {
        let mut names = vec![];
        if self.vocab_size.is_some_and(|size| size < width) {
            names.push("vocab_size");
        }
        if let Some(ids) = &self.allowed_token_ids {
            let mut listed = vec![0; width.div_ceil(32)];
            ids.iter().filter(|id| (**id as usize) < width).for_each(|id| set_bit(&mut listed, *id));
            if (0..width).any(|i| !has_bit(&listed, i)) {
                names.push("allowed_token_ids");
            }
        }
        let words = self.words(moment);
        let is_set =
            |words: &[i32], i: usize| words.get(i / 32).is_some_and(|word| word >> (i % 32) & 1 == 1);
        if words.is_some_and(|words| (0..width).any(|i| !is_set(words, i))) {
            names.push("bitmask");
        }
        for (name, forbidden) in self.forbidden_ids(moment) {
            // min_tokens has yielded where all that is left would end the sequence.
            let mut others = left.to_vec();
            forbid(&forbidden, &mut others);
            let yields = name == "min_tokens" && words.is_some() && others.iter().all(|word| *word == 0);
            if !yields && forbidden.iter().any(|id| (*id as usize) < width) {
                names.push(name);
            }
        }
        names
    }
}

fn has_bit(words: &[u32], i: usize) -> bool {
    words.get(i / 32).is_some_and(|word| word >> (i % 32) & 1 == 1)
}

fn set_bit(words: &mut [u32], id: u32) {
    if let Some(word) = words.get_mut(id as usize / 32) {
        *word |= 1 << (id % 32);
    }
}

/// Clears the bits of these tokens.
fn forbid(ids: &[u32], words: &mut [u32]) {
    for id in ids {
        if let Some(word) = words.get_mut(*id as usize / 32) {
            *word &= !(1 << (id % 32));
        }
    }
}
