//! What followed every n - 1 tokens in a row, as the history grows and shrinks at its end.
//!
//! A place's n-gram are the id there and the n - 1 before it, its key the hash of the latter. Places with the same key
//! are a list, the last first; one is in it only if no n-gram before equals its own, so that the list is as long as
//! there are different tokens to forbid. The hash is a polynomial that rolls on with each token; what it finds is
//! compared, so that a collision costs time alone. Taking back the last token undoes what it did.

use crate::hashing::{Map, Secret};

/// The multiplier of the rolling hash: odd, so that no id is lost in the overflow.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// In the place of the next one of a list: the place is in none.
const REPEATED: u32 = u32::MAX - 1;

/// The n-grams of a history.
#[derive(Clone, Debug)]
pub struct Ngrams {
    /// n - 1.
    others: usize,
    /// By key, the last place of the list.
    lists: Map<u64, u32>,
    /// By the hash of all n tokens, the first place with such an n-gram.
    firsts: Map<u64, u32>,
    /// For each id from the first that has n - 1 before it: the place before it in its list.
    next: Vec<u32>,
    /// The hash of the last n - 1 ids, sum of (id + 1) * BASE**k, k = 0 for the last.
    hash: u64,
    /// BASE**(n - 1): what the token that leaves is worth.
    leaving: u64,
    /// BASE * inverse = 1.
    inverse: u64,
}

impl Ngrams {
    /// Of these ids; n > 0.
    #[must_use]
    pub fn of(ids: &[u32], n: usize) -> Self {
        let others = n - 1;
        let count = ids.len().saturating_sub(others);
        let mut ngrams = Self {
            others,
            lists: Map::with_capacity_and_hasher(if others == 0 { 1 } else { count }, Secret::default()),
            firsts: Map::with_capacity_and_hasher(count, Secret::default()),
            next: Vec::with_capacity(count),
            hash: 0,
            leaving: power(BASE, others),
            inverse: inverse(BASE),
        };
        for length in 1..=ids.len() {
            ngrams.extend(&ids[..length]);
        }
        ngrams
    }

    /// Takes in the last of the ids.
    pub fn extend(&mut self, ids: &[u32]) {
        let Some((newest, before)) = ids.split_last() else { return };
        let whole = self.hash.wrapping_mul(BASE).wrapping_add(worth(*newest));
        let Some(oldest) = before.len().checked_sub(self.others) else {
            self.hash = whole;
            return;
        };
        let place = before.len() as u32;
        let first = *self.firsts.entry(whole).or_insert(place);
        let is_new = first == place || !self.same(ids, first, place);
        self.next.push(if is_new { self.lists.insert(self.hash, place).unwrap_or(NONE) } else { REPEATED });
        self.hash = whole.wrapping_sub(worth(ids[oldest]).wrapping_mul(self.leaving));
    }

    /// Lets go of the last of the ids.
    pub fn shorten(&mut self, ids: &[u32]) {
        let Some((newest, before)) = ids.split_last() else { return };
        let oldest = before.len().checked_sub(self.others);
        let left = oldest.map_or(0, |oldest| worth(ids[oldest]).wrapping_mul(self.leaving));
        let whole = self.hash.wrapping_add(left);
        self.hash = whole.wrapping_sub(worth(*newest)).wrapping_mul(self.inverse);
        let Some(next) = self.next.pop() else { return };
        let place = before.len() as u32;
        if self.firsts.get(&whole) == Some(&place) {
            self.firsts.remove(&whole);
        }
        match next {
            REPEATED => {}
            NONE => drop(self.lists.remove(&self.hash)),
            next => drop(self.lists.insert(self.hash, next)),
        }
    }

    /// What followed, wherever they stood before, the tokens that the ids end with.
    #[must_use]
    pub fn ends(&self, ids: &[u32]) -> Vec<u32> {
        let Some(start) = ids.len().checked_sub(self.others) else { return vec![] };
        let last = self.lists.get(&self.hash).copied();
        let places = std::iter::successors(last, |place| {
            self.next.get(*place as usize - self.others).copied().filter(|next| *next != NONE)
        });
        let places = places.map(|place| place as usize);
        places.filter(|place| ids[place - self.others..*place] == ids[start..]).map(|p| ids[p]).collect()
    }

    /// Whether two places have the same n-gram.
    fn same(&self, ids: &[u32], a: u32, b: u32) -> bool {
        let of = |place: u32| &ids[place as usize - self.others..=place as usize];
        of(a) == of(b)
    }
}

/// What an id is worth in a hash: never 0.
fn worth(id: u32) -> u64 {
    u64::from(id) + 1
}

/// What an odd number times is 1: each of Newton's steps doubles the bits that are right, of which 3 are at first.
fn inverse(odd: u64) -> u64 {
    (0..5).fold(odd, |x, _| x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x))))
}

/// base**n by squares, as n may be any number.
fn power(mut base: u64, mut n: usize) -> u64 {
    let mut power = 1_u64;
    while n > 0 {
        if n & 1 == 1 {
            power = power.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        n >>= 1;
    }
    power
}
