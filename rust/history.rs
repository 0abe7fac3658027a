//! The sequence so far, what it repeats, and counts of its tokens without a pass over the vocabulary.

use std::cell::Cell;

/// The prompt's ids and those that were drawn after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    ids: Vec<u32>,
    prompt: usize,
}

impl History {
    /// The prompt's ids, then those of the output.
    #[must_use]
    pub fn new(prompt: &[u32], output: &[u32]) -> Self {
        Self { ids: [prompt, output].concat(), prompt: prompt.len() }
    }

    /// Appends an id to the output.
    pub fn push(&mut self, id: u32) {
        self.ids.push(id);
    }

    /// Takes the last id from the output; the prompt stays.
    pub fn pop(&mut self) {
        self.ids.truncate(self.ids.len().saturating_sub(1).max(self.prompt));
    }

    /// The prompt's ids.
    #[must_use]
    pub fn prompt(&self) -> &[u32] {
        &self.ids[..self.prompt]
    }

    /// All ids, the prompt's first.
    #[must_use]
    pub fn all(&self) -> &[u32] {
        &self.ids
    }

    /// The ids that were drawn.
    #[must_use]
    pub fn output(&self) -> &[u32] {
        &self.ids[self.prompt..]
    }
}

/// The last n ids; None is all.
#[must_use]
pub fn window(ids: &[u32], n: Option<usize>) -> &[u32] {
    &ids[ids.len() - n.unwrap_or(ids.len()).min(ids.len())..]
}

/// For every token of the sequence, the last first: how many ids right before it equal as many at the
/// sequence's end, and the token.
///
/// Reversed, the end is a beginning, and the match that ends before place k is the Z-array's entry there:
/// `z[k]` is the length of the longest common prefix of `s` and `s[k..]`. It is made in one pass (Gusfield 1997,
/// section 1.4): `s[left..right]` is the match that reaches furthest; within it, what is known about its copy
/// at the front tells all but what lies beyond its end.
pub fn repeats(ids: &[u32]) -> impl Iterator<Item = (usize, u32)> + '_ {
    let n = ids.len();
    let s = move |k: usize| ids[n - 1 - k];
    let mut z = vec![0; n];
    let (mut left, mut right) = (0, 0);
    for k in 1..n {
        let mut match_length = if k < right { z[k - left].min(right - k) } else { 0 };
        while k + match_length < n && s(match_length) == s(k + match_length) {
            match_length += 1;
        }
        if k + match_length > right {
            (left, right) = (k, k + match_length);
        }
        z[k] = match_length;
    }
    // The token after the match that ends before place k is s[k - 1]; before the first token there is none.
    (1..=n).map(move |k| (z.get(k).copied().unwrap_or(0), s(k - 1)))
}

/// A number for each token, 0 at first. One visit of each token that was counted makes all 0 again, so
/// nothing of the vocabulary's size is written.
pub struct Tally<'a> {
    counts: &'a mut [u32],
}

impl Tally<'_> {
    /// Runs `work` with this thread's tally for tokens below `width`; it must take out all it has put in.
    pub fn with<R>(width: usize, work: impl FnOnce(Tally<'_>) -> R) -> R {
        thread_local!(static COUNTS: Cell<Vec<u32>> = Cell::default());
        let mut counts = COUNTS.take();
        if counts.len() < width {
            counts.resize(width, 0);
        }
        let result = work(Tally { counts: &mut counts[..width] });
        COUNTS.set(counts);
        result
    }

    /// Counts every id; those beyond the width are not counted.
    pub fn count(&mut self, ids: &[u32]) {
        for id in ids {
            if let Some(count) = self.counts.get_mut(*id as usize) {
                *count += 1;
            }
        }
    }

    /// The token's number, to be changed.
    pub fn at(&mut self, id: u32) -> Option<&mut u32> {
        self.counts.get_mut(id as usize)
    }

    /// The token's number, which is 0 from then on.
    pub fn take(&mut self, id: u32) -> u32 {
        self.at(id).map_or(0, std::mem::take)
    }
}
