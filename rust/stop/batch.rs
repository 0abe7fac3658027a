//! Many streams, one row each: the same rules, and a row never sees its batch mates.

use std::sync::Arc;

use super::matcher::{Hit, Stream};
use super::piece::{Output, Piece};
use super::set::StopSet;
use crate::error::{Error, Number};

/// What one row is fed in a step.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// The row.
    pub row: usize,
    /// The piece.
    pub piece: Piece<'a>,
    /// Whether stops count in it.
    pub armed: bool,
    /// Whether it is known to be text: whole characters, at least one.
    pub is_text: bool,
}

/// Rows and their stop sets. A row that does not exist is an error, and then no row has changed.
#[derive(Clone, Debug)]
pub struct Batch {
    sets: Vec<Arc<StopSet>>,
    rows: Vec<Stream>,
    /// A buffer: what the rows were that a call has fed so far, for the case that it fails.
    before: Vec<(usize, Stream)>,
}

/// A row that does not exist.
fn stranger(argument: &'static str, row: usize) -> Error {
    let value = Number::Int(row as i128);
    Error::Knob { argument, rule: "must name rows that exist", value, row: None }
}

impl Batch {
    /// One row per stop set.
    #[must_use]
    pub fn new(sets: Vec<Arc<StopSet>>) -> Self {
        Self { rows: vec![Stream::default(); sets.len()], sets, before: vec![] }
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn check(&self, argument: &'static str, rows: &[usize]) -> Result<(), Error> {
        match rows.iter().find(|&&row| row >= self.rows.len()) {
            None => Ok(()),
            Some(&row) => Err(stranger(argument, row)),
        }
    }

    /// Feeds rows in the given order; `take` gets the place of each feed, its piece and what its row gives out: None
    /// where that is the piece itself, which is known to be text. After an error no row has changed.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use rheostat::stop::{Batch, Feed, Output, Piece, StopSet, Tie};
    ///
    /// let stops = Arc::new(StopSet::text(vec![b"END".as_slice().into()], Tie::First, false)?);
    /// let mut batch = Batch::new(vec![Arc::clone(&stops), stops]);
    /// let feeds = [(0, "yes E"), (1, "no EN"), (1, "D.")]
    ///     .map(|(row, text)| Feed { row, piece: Piece::Bytes(text.as_bytes()), armed: true, is_text: true });
    /// let said = batch.feed(feeds.into_iter(), |_, piece, output| match (output, piece) {
    ///     (Some(Output::Text(text)), _) => text.into_owned(),
    ///     (None, Piece::Bytes(whole)) => String::from_utf8_lossy(whole).into_owned(),
    ///     other => unreachable!("text stops give text, not {other:?}"),
    /// })?;
    /// assert_eq!(said, ["yes ", "no ", ""]);
    /// assert!(batch.hits().map(|hit| hit.map(|hit| hit.start)).eq([None, Some(3)]));
    /// assert_eq!(batch.flush(&[0])?, [Output::Text("E".into())]); // at the end it was no stop
    /// assert!(batch.reset(&[2]).is_err()); // there is no such row
    /// # Ok::<(), rheostat::Error>(())
    /// ```
    ///
    /// # Errors
    /// A row that does not exist, or what [`StopSet::feed`] refuses.
    pub fn feed<'a, R>(
        &mut self,
        feeds: impl ExactSizeIterator<Item = Feed<'a>>,
        mut take: impl FnMut(usize, Piece<'a>, Option<Output<'_>>) -> R,
    ) -> Result<Vec<R>, Error> {
        self.before.clear();
        let mut taken = Vec::with_capacity(feeds.len());
        for (place, Feed { row, piece, armed, is_text }) in feeds.enumerate() {
            let (Some(set), Some(state)) = (self.sets.get(row), self.rows.get_mut(row)) else {
                self.take_back();
                return Err(stranger("rows", row));
            };
            self.before.push((row, *state));
            if is_text && set.pass(state, piece, armed) {
                taken.push(take(place, piece, None));
                continue;
            }
            match set.feed(state, piece, armed) {
                Ok(output) => {
                    let is_piece = is_text && output.is_all_of(piece);
                    taken.push(take(place, piece, (!is_piece).then_some(output)));
                }
                Err(error) => {
                    self.take_back();
                    return Err(error.in_row(row));
                }
            }
        }
        Ok(taken)
    }

    /// Makes the rows that a call has fed what they were.
    fn take_back(&mut self) {
        self.before.drain(..).rev().for_each(|(row, state)| self.rows[row] = state);
    }

    /// Ends the given rows: what each held.
    ///
    /// # Errors
    /// A row that does not exist; then none has changed.
    pub fn flush(&mut self, rows: &[usize]) -> Result<Vec<Output<'static>>, Error> {
        self.check("rows", rows)?;
        let flushed = |&row: &usize| self.sets[row].flush(&mut self.rows[row]).into_owned();
        Ok(rows.iter().map(flushed).collect())
    }

    /// Starts the given rows again.
    ///
    /// # Errors
    /// A row that does not exist; then none has changed.
    pub fn reset(&mut self, rows: &[usize]) -> Result<(), Error> {
        self.check("rows", rows)?;
        for row in rows {
            self.rows[*row] = Stream::default();
        }
        Ok(())
    }

    /// Row `i` goes on as row `index[i]` was, stop set included: beam search. As many rows as
    /// `index` is long remain.
    ///
    /// # Errors
    /// A row that does not exist; then none has changed.
    pub fn reorder(&mut self, index: &[usize]) -> Result<(), Error> {
        self.check("index", index)?;
        self.rows = index.iter().map(|&from| self.rows[from]).collect();
        self.sets = index.iter().map(|&from| Arc::clone(&self.sets[from])).collect();
        Ok(())
    }

    /// The stop that ended each row.
    pub fn hits(&self) -> impl Iterator<Item = Option<Hit>> + '_ {
        self.sets.iter().zip(&self.rows).map(|(set, row)| set.hit(row))
    }
}
