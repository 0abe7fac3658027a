//! What masks and penalties need of the history, so that a token more, or one less, costs the same however long it
//! is. (All but DRY: what it looks for is new at every step, and it walks its window. See [`crate::dry`].)
//!
//! - **Counts**: how often each token occurs in a window. The tokens stand in a list, which is all that a
//!   penalty walks; a map gives a token's place in it. A call without state counts its history once, by a
//!   [`Tally`], and never needs the map: it is made when the first token more comes.
//! - **N-grams**: for every n - 1 tokens in a row, what followed them ([`Ngrams`]). A call without state has one look
//!   at its history, which a single pass answers ([`repeats`]).

use crate::hashing::Map;
use crate::history::{History, Tally, repeats, window};
use crate::ngrams::Ngrams;

/// The sequence so far, as masks and penalties see it at one step.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Its ids.
    pub history: &'a History,
    /// What is remembered of them.
    pub memory: &'a Memory,
    /// A bitmask for this step, in the place of the knob's.
    pub bitmask: Option<&'a [i32]>,
}

/// What is to be remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Which tokens have come.
    pub repeated: bool,
    /// How often they have.
    pub counted: bool,
    /// In the last n of prompt and output; None: all of both, of which the counts see the output alone.
    pub last_n: Option<usize>,
    /// The length of the n-grams that may not come twice; 0 is none.
    pub ngram: usize,
}

/// What is remembered of a history beyond its ids.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// What repetition looks at; with `penalty_last_n` the other two as well.
    all: Option<Window>,
    /// What frequency and presence look at without it: the output.
    output: Option<Window>,
    ngrams: Option<Ngrams>,
}

impl Memory {
    /// For a single look at a history; tokens from `width` on say nothing.
    #[must_use]
    pub fn for_one_call(history: &History, needs: Needs, width: usize) -> Self {
        let Needs { repeated, counted, last_n, .. } = needs;
        let of_all = repeated || (counted && last_n.is_some());
        let of_output = counted && last_n.is_none();
        Self {
            all: of_all.then(|| Window::of(history.all(), last_n, width)),
            output: of_output.then(|| Window::of(history.output(), None, width)),
            ngrams: None,
        }
    }

    /// For a history of tokens below `width` that goes on.
    #[must_use]
    pub fn to_keep(history: &History, needs: Needs, width: usize) -> Self {
        let ngrams = (needs.ngram > 0).then(|| Ngrams::of(history.all(), needs.ngram));
        Self { ngrams, ..Self::for_one_call(history, needs, width) }
    }

    /// Takes in the history's last token.
    pub fn extend(&mut self, history: &History) {
        for window in [&mut self.all, &mut self.output].into_iter().flatten() {
            window.extend(history.all());
        }
        if let Some(ngrams) = &mut self.ngrams {
            ngrams.extend(history.all());
        }
    }

    /// Lets go of the history's last token, which is about to leave it.
    pub fn shorten(&mut self, history: &History) {
        for window in [&mut self.all, &mut self.output].into_iter().flatten() {
            window.shorten(history.all());
        }
        if let Some(ngrams) = &mut self.ngrams {
            ngrams.shorten(history.all());
        }
    }

    /// What the repetition penalty looks at: each token once, with its count.
    #[must_use]
    pub fn repeated(&self) -> &[(u32, u32)] {
        self.all.as_ref().map_or(&[], |window| &window.counts.tokens)
    }

    /// What frequency and presence look at.
    #[must_use]
    pub fn counted(&self) -> &[(u32, u32)] {
        self.output.as_ref().map_or_else(|| self.repeated(), |window| &window.counts.tokens)
    }

    /// The tokens that would complete an n-gram which the history already holds; n > 0.
    #[must_use]
    pub fn ends_of_ngrams(&self, history: &History, n: usize) -> Vec<u32> {
        let ids = history.all();
        if let Some(ngrams) = &self.ngrams {
            return ngrams.ends(ids);
        }
        let others = n - 1;
        if others == 0 {
            return ids.to_vec();
        }
        repeats(ids).filter(|(length, _)| *length >= others).map(|(_, token)| token).collect()
    }
}

/// The counts of the last n tokens; None is all.
#[derive(Clone, Debug)]
struct Window {
    counts: Counts,
    last_n: Option<usize>,
}

impl Window {
    fn of(ids: &[u32], last_n: Option<usize>, width: usize) -> Self {
        Self { counts: Counts::of(window(ids, last_n), width), last_n }
    }

    /// Takes in the last of the ids, and lets go of the one that falls out of the window.
    fn extend(&mut self, ids: &[u32]) {
        let Some((newest, before)) = ids.split_last() else { return };
        self.counts.add(*newest);
        if let Some(oldest) = self.last_n.and_then(|n| before.len().checked_sub(n)) {
            self.counts.remove(ids[oldest]);
        }
    }

    /// Lets go of the last of the ids, and takes back the one that fell out of the window for it. In this order: in
    /// a window of no tokens they are the same.
    fn shorten(&mut self, ids: &[u32]) {
        let Some((newest, before)) = ids.split_last() else { return };
        if let Some(oldest) = self.last_n.and_then(|n| before.len().checked_sub(n)) {
            self.counts.add(ids[oldest]);
        }
        self.counts.remove(*newest);
    }
}

/// How often each token occurs.
#[derive(Clone, Debug, Default)]
struct Counts {
    /// The tokens that occur, with their counts, in no order.
    tokens: Vec<(u32, u32)>,
    /// The places of the tokens in the list; empty until one is looked for.
    places: Map<u32, usize>,
}

impl Counts {
    /// Of these ids, as far as they are below `width`.
    fn of(ids: &[u32], width: usize) -> Self {
        if ids.is_empty() {
            return Self::default();
        }
        let tokens = Tally::with(width, |mut tally| {
            tally.count(ids);
            let counts = ids.iter().map(|id| (*id, tally.take(*id)));
            counts.filter(|(_, count)| *count > 0).collect()
        });
        Self { tokens, places: Map::default() }
    }

    fn find_places(&mut self) {
        if self.places.is_empty() {
            self.places.extend(self.tokens.iter().enumerate().map(|(place, (id, _))| (*id, place)));
        }
    }

    fn add(&mut self, id: u32) {
        self.find_places();
        let place = *self.places.entry(id).or_insert(self.tokens.len());
        match self.tokens.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => self.tokens.push((id, 1)),
        }
    }

    fn remove(&mut self, id: u32) {
        self.find_places();
        let Some(&place) = self.places.get(&id) else { return };
        self.tokens[place].1 -= 1;
        if self.tokens[place].1 == 0 {
            self.places.remove(&id);
            self.tokens.swap_remove(place);
            if let Some((moved, _)) = self.tokens.get(place) {
                self.places.insert(*moved, place);
            }
        }
    }
}
