//! A row where it stands: in the type it came in, under its masks, with the few logits that biases and penalties
//! have changed. What only passes over a row reads it there; a float32 copy is made when something asks for one.

use std::cell::{Cell, OnceCell};
use std::ops::Range;

use crate::simd::{self, Cells, Level, Logits, Maximum, Source};
use crate::{Error, law};

/// The most logits of a part that is looked at.
pub const MOST_OF_PART: usize = 1 << 10;

/// A row to be read.
#[derive(Clone, Copy)]
pub enum Row<'a> {
    /// As float32 logits, which stand there.
    Float32(&'a [f32]),
    /// In any other way.
    Other(&'a Standing<'a>),
}

/// A row that is no plain float32 row.
pub struct Standing<'a> {
    /// What is read of it but for the changes, which it forbids.
    source: Source<'a>,
    /// Logits that stand in the place of the source's, by id, none at -inf.
    changes: &'a [(u32, f32)],
    /// The copy.
    wide: OnceCell<Vec<f32>>,
    /// A buffer for it.
    buffer: Cell<Vec<f32>>,
}

impl<'a> Standing<'a> {
    /// A row of this source, with these changes in ascending order of ids that the source forbids. `buffer` is for a
    /// copy, should one be needed.
    #[must_use]
    pub fn new(source: Source<'a>, changes: &'a [(u32, f32)], buffer: Vec<f32>) -> Self {
        Self { source, changes, wide: OnceCell::new(), buffer: Cell::new(buffer) }
    }

    /// Logits as they came.
    #[must_use]
    pub fn plain(logits: Logits<'a>, buffer: Vec<f32>) -> Self {
        Self::new(Source { logits, allowed: None }, &[], buffer)
    }

    /// The row.
    #[must_use]
    pub fn row(&self) -> Row<'_> {
        match self.source {
            Source { logits: Logits::F32(row), allowed: None } => Row::Float32(row),
            _ => Row::Other(self),
        }
    }

    /// Whether somebody has asked for a copy.
    #[must_use]
    pub fn is_copied(&self) -> bool {
        self.wide.get().is_some()
    }

    /// The buffer.
    #[must_use]
    pub fn into_buffer(self) -> Vec<f32> {
        self.wide.into_inner().unwrap_or(self.buffer.into_inner())
    }

    fn wide(&self) -> &[f32] {
        self.wide.get_or_init(|| {
            let mut wide = self.buffer.take();
            wide.resize(self.source.len(), 0.0);
            self.store(0, &mut wide);
            wide
        })
    }

    /// Writes the logits from a place on, a multiple of 16 where there is a mask, as many as `out` has room for.
    fn store(&self, from: usize, out: &mut [f32]) {
        simd::store_source(Level::current(), self.source, from, out);
        let first = self.changes.partition_point(|(id, _)| (*id as usize) < from);
        for (id, x) in &self.changes[first..] {
            match out.get_mut(*id as usize - from) {
                Some(out) => *out = *x,
                None => break,
            }
        }
    }
}

impl<'a> From<&'a [f32]> for Row<'a> {
    fn from(row: &'a [f32]) -> Self {
        Self::Float32(row)
    }
}

impl<'a> Row<'a> {
    /// How many logits.
    #[must_use]
    pub fn len(self) -> usize {
        self.source().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// What is read of it but for the changes.
    #[must_use]
    pub fn source(self) -> Source<'a> {
        match self {
            Self::Float32(row) => row.into(),
            Self::Other(standing) => standing.source,
        }
    }

    /// The logits that stand in the place of the source's, by id, ascending.
    #[must_use]
    pub fn changes(self) -> &'a [(u32, f32)] {
        match self {
            Self::Float32(_) => &[],
            Self::Other(standing) => standing.changes,
        }
    }

    /// All logits as float32: a copy, made once, where they do not stand there.
    #[must_use]
    pub fn logits(self) -> &'a [f32] {
        match self {
            Self::Float32(row) => row,
            Self::Other(standing) => standing.wide(),
        }
    }

    /// The logit of a token below the row's length.
    #[must_use]
    pub fn logit(self, token: usize) -> f32 {
        let changed = self.changes().binary_search_by_key(&token, |(id, _)| *id as usize);
        changed.map_or_else(|_| self.source().at(token), |place| self.changes()[place].1)
    }

    /// `work` on a short part of the row as float32, which begins at a multiple of 16 where there is a mask.
    pub fn with_part<R>(self, part: Range<usize>, work: impl FnOnce(&[f32]) -> R) -> R {
        match self {
            Self::Float32(row) => work(&row[part]),
            Self::Other(standing) => {
                let mut buffer = [0.0; MOST_OF_PART];
                let logits = &mut buffer[..part.len()];
                standing.store(part.start, logits);
                work(logits)
            }
        }
    }

    /// Writes the logits from a place on, a multiple of 16 where there is a mask, into `out`, as many as it takes.
    pub fn store_part(self, from: usize, out: &mut [f32]) {
        match self {
            Self::Float32(row) => out.copy_from_slice(&row[from..from + out.len()]),
            Self::Other(standing) => standing.store(from, out),
        }
    }

    /// The maximum, or why the row is none: what [`law::check_row`] says of its logits.
    ///
    /// # Errors
    /// [`Error::Logit`] and [`Error::NoFiniteLogit`], with row 0.
    pub fn check(self) -> Result<f32, Error> {
        self.judge(simd::maximum_of(Level::current(), self.source()))
    }

    /// The same; and leaves in the buffer the largest logits of its cells, but for the changes.
    ///
    /// # Errors
    /// The same.
    pub fn check_with_peaks(self, cells: &mut Cells) -> Result<f32, Error> {
        self.judge(cells.peaks(self.source()))
    }

    fn judge(self, found: Maximum) -> Result<f32, Error> {
        law::check_length(self.len())?;
        let Maximum { logit, has_nan } = found;
        if has_nan || logit == f32::INFINITY {
            let is_bad = |x: f32| x.is_nan() || x == f32::INFINITY;
            if let Some(token) = (0..self.len()).find(|token| is_bad(self.source().at(*token))) {
                return Err(Error::Logit { row: 0, token, value: self.source().at(token).into() });
            }
        }
        let logit = self.changes().iter().fold(logit, |largest, (_, x)| largest.max(*x));
        if logit == f32::NEG_INFINITY { Err(Error::NoFiniteLogit { row: 0 }) } else { Ok(logit) }
    }

    /// Leaves in the buffers the logits of at least `low`, which is finite, and their ids, in order.
    pub fn gather(self, low: f32, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
        xs.clear();
        ids.clear();
        simd::gather_from_source(Level::current(), self.source(), (low, f32::INFINITY), xs, ids);
        self.merge_changes(low, xs, ids);
    }

    /// The same where each such logit lies in a cell of at least `hot`.
    pub fn gather_from_cells(
        self,
        cells: &Cells,
        (hot, low): (f32, f32),
        xs: &mut Vec<f32>,
        ids: &mut Vec<u32>,
    ) {
        xs.clear();
        ids.clear();
        cells.gather(self.source(), (hot, low), xs, ids);
        self.merge_changes(low, xs, ids);
    }

    /// The same for a row of which a mask allows but a few tokens; and why the row is none.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn gather_few(self, words: &[u32], xs: &mut Vec<f32>, ids: &mut Vec<u32>) -> Result<f32, Error> {
        xs.clear();
        ids.clear();
        simd::gather_allowed(Level::current(), self.source().logits, words, xs, ids);
        self.merge_changes(f32::MIN, xs, ids);
        if xs.is_empty() {
            return Err(Error::NoFiniteLogit { row: 0 });
        }
        let maximum = law::check_row(xs).map_err(|error| match error {
            Error::Logit { row, token, value } => Error::Logit { row, token: ids[token] as usize, value },
            none => none,
        })?;
        simd::retain_at_least(Level::current(), f32::MIN, xs, ids);
        Ok(maximum)
    }

    /// Puts the changed logits of at least `low` in their places, by id, among the buffers' own.
    fn merge_changes(self, low: f32, xs: &mut Vec<f32>, ids: &mut Vec<u32>) {
        let changes = self.changes();
        let mut from = xs.len();
        let more = changes.iter().filter(|(_, x)| *x >= low).count();
        let mut to = from + more;
        xs.resize(to, 0.0);
        ids.resize(to, 0);
        // From behind, until no change is left and all others stand where they stood.
        for (id, x) in changes.iter().rev().filter(|(_, x)| *x >= low) {
            while from > 0 && ids[from - 1] > *id {
                (from, to) = (from - 1, to - 1);
                (xs[to], ids[to]) = (xs[from], ids[from]);
            }
            to -= 1;
            (xs[to], ids[to]) = (*x, *id);
        }
    }
}
