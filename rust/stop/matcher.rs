//! One stream: its state, and what it gives out for each piece. No text is stored: what is held is a
//! prefix of a stop.

use std::borrow::Cow;

use super::automaton::Symbol;
use super::piece::{Kind, Output, Piece};
use super::set::{Matching, StopSet};
use super::stops::Stops;
use super::utf8::Pending;
use crate::error::Error;

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was fed armed yet.
    #[default]
    Unarmed,
    /// From here on stops count.
    Armed,
    /// A stop completed: nothing changes any more.
    Hit,
    /// The stream was ended without a stop.
    Flushed,
}

/// The state of one stream; the [`StopSet`] it belongs to is kept elsewhere. With another set it means something else,
/// or nothing: a panic, or the wrong text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Symbols read, up to and including the one that completed a stop.
    pub(super) fed: u64,
    /// Symbols of the piece in which a stop completed, after it.
    pub(super) discarded: u64,
    /// The automaton's state; the root once the stream has ended.
    pub(super) state: u32,
    /// The stop that completed, in [`Phase::Hit`].
    pub(super) stop: u32,
    pub(super) phase: Phase,
    /// Bytes given out by the stop rule that wait for the rest of their character.
    pub(super) pending: Pending,
}

/// A stop that ended a stream. Offsets are in symbols from the stream's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The stop's index.
    pub index: usize,
    /// Where it starts.
    pub start: u64,
    /// Where it ends: `start` plus its length.
    pub end: u64,
    /// How many symbols of the piece in which it completed come after it.
    pub discarded: u64,
}

/// What a stream gives out: first what it held, the beginning of a stop, then of the piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release<'a, S> {
    /// From the symbols held before.
    pub head: &'a [S],
    /// From the piece.
    pub tail: &'a [S],
}

impl<S> Default for Release<'_, S> {
    fn default() -> Self {
        Self { head: &[], tail: &[] }
    }
}

impl<'a, S: Copy> Release<'a, S> {
    fn join(self) -> Cow<'a, [S]> {
        match self {
            Self { head: [], tail } => Cow::Borrowed(tail),
            Self { head, tail: [] } => Cow::Borrowed(head),
            Self { head, tail } => Cow::Owned([head, tail].concat()),
        }
    }
}

impl Stream {
    /// Symbols read so far, up to and including the one that completed a stop.
    #[must_use]
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// Where the stream is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }
}

impl<S: Symbol> Stops<S> {
    /// Reads a piece, gives out what can no longer belong to a stop. After an error nothing has
    /// changed.
    ///
    /// # Errors
    /// A piece after the flush; `armed` taken back.
    #[inline]
    pub fn feed<'a>(
        &'a self,
        stream: &mut Stream,
        piece: &'a [S],
        armed: bool,
    ) -> Result<Release<'a, S>, Error> {
        match stream.phase {
            Phase::Hit => return Ok(Release::default()),
            Phase::Flushed => return Err(Error::FedAfterFlush { row: None }),
            Phase::Armed if !armed => return Err(Error::Disarmed { row: None }),
            Phase::Armed | Phase::Unarmed => {}
        }
        let held = self.held(stream);
        let (state, read) = self.automaton.run(stream.state, piece, armed);
        let winner = if armed && read > 0 { self.automaton.winner(state) } else { None };
        stream.fed += read as u64;
        let keep = if let Some(index) = winner {
            stream.phase = Phase::Hit;
            stream.state = 0;
            stream.stop = index as u32;
            stream.discarded = (piece.len() - read) as u64;
            if self.include { 0 } else { self.sequences[index].len() }
        } else {
            stream.phase = if armed { Phase::Armed } else { Phase::Unarmed };
            stream.state = state;
            self.held(stream).len()
        };
        // By the proof `keep` is at most what there is: what was given out is never taken back.
        let release = held.len() + read - keep;
        let from_held = release.min(held.len());
        Ok(Release { head: &held[..from_held], tail: &piece[..release - from_held] })
    }

    /// Reads a piece where that is all: nothing is held before and nothing after. Else it is not read.
    #[inline]
    fn pass(&self, stream: &mut Stream, piece: &[S], armed: bool) -> bool {
        let after = match (stream.phase, armed) {
            (Phase::Unarmed, false) => Phase::Unarmed,
            (Phase::Unarmed | Phase::Armed, true) => Phase::Armed,
            _ => return false,
        };
        // From the root to the root: in no other state is nothing held that may be a stop, and none completes there.
        if stream.state != 0 || self.automaton.run(0, piece, armed).0 != 0 {
            return false;
        }
        stream.fed += piece.len() as u64;
        stream.phase = after;
        true
    }

    /// Ends the stream: what was held is given out, unless a stop ended it before.
    pub fn flush<'a>(&'a self, stream: &mut Stream) -> Release<'a, S> {
        let head = self.held(stream);
        if stream.phase != Phase::Hit {
            stream.phase = Phase::Flushed;
            stream.state = 0;
        }
        Release { head, tail: &[] }
    }

    /// The stop that ended the stream.
    #[must_use]
    pub fn hit(&self, stream: &Stream) -> Option<Hit> {
        let index = (stream.phase == Phase::Hit).then_some(stream.stop as usize)?;
        let start = stream.fed - self.sequences[index].len() as u64;
        Some(Hit { index, start, end: stream.fed, discarded: stream.discarded })
    }

    /// Symbols given out so far, an unfinished character included.
    #[must_use]
    pub fn emitted(&self, stream: &Stream) -> u64 {
        match self.hit(stream) {
            Some(hit) if !self.include => hit.start,
            _ => stream.fed - self.held(stream).len() as u64,
        }
    }
}

impl StopSet {
    /// Reads a piece, gives out what can no longer belong to a stop. After an error nothing has
    /// changed.
    ///
    /// # Errors
    /// A piece after the flush; `armed` taken back; symbols of the other alphabet.
    #[inline]
    pub fn feed<'a>(
        &'a self,
        stream: &mut Stream,
        piece: Piece<'a>,
        armed: bool,
    ) -> Result<Output<'a>, Error> {
        match (self.matching(), piece) {
            (Matching::Bytes(stops), Piece::Bytes(piece)) => {
                let release = stops.feed(stream, piece, armed)?;
                Ok(self.decoded(stream, release))
            }
            (Matching::Ids(stops), Piece::Ids(piece)) => {
                Ok(Output::Ids(stops.feed(stream, piece, armed)?.join()))
            }
            _ => Err(Error::WrongSymbols),
        }
    }

    /// Reads a piece of text, where all of it is given out as it is. Else it is not read: that is for [`Self::feed`].
    #[inline]
    pub(super) fn pass(&self, stream: &mut Stream, text: Piece<'_>, armed: bool) -> bool {
        match (self.matching(), text) {
            (Matching::Bytes(stops), Piece::Bytes(text)) => {
                stream.pending.bytes().is_empty() && stops.pass(stream, text, armed)
            }
            _ => false,
        }
    }

    /// Reads several pieces, which stand one after the other in `whole` and end at `ends`; armed from piece
    /// `armed_from` on. Gives all that they release, and how many pieces there are up to the one that completes a
    /// stop; the rest is not read.
    ///
    /// How a stream is cut changes nothing but the moment: the pieces before `armed_from` are read as one, and so are
    /// the others.
    ///
    /// # Panics
    /// Where `ends` does not ascend to the length of `whole`.
    ///
    /// # Errors
    /// As [`Self::feed`]; nothing has changed then.
    pub fn feed_many<'a>(
        &'a self,
        stream: &mut Stream,
        whole: Piece<'a>,
        ends: &[usize],
        armed_from: usize,
    ) -> Result<(Output<'a>, usize), Error> {
        let mut after = *stream; // a failing call changes nothing
        match after.phase {
            Phase::Flushed => return Err(Error::FedAfterFlush { row: None }),
            Phase::Hit => return Ok((self.nothing(), 0)),
            Phase::Armed | Phase::Unarmed => {}
        }
        let mut output = self.nothing();
        let (unarmed, armed) = ends.split_at(armed_from.min(ends.len()));
        let (first, rest) = whole.split_at(unarmed.last().copied().unwrap_or(0));
        if !unarmed.is_empty() {
            output = self.feed(&mut after, first, false)?;
        }
        if !armed.is_empty() {
            output = output.followed_by(self.feed(&mut after, rest, true)?);
        }
        let mut used = ends.len();
        if after.phase == Phase::Hit {
            let end = whole.len() - after.discarded as usize;
            let completing = ends.partition_point(|&piece| piece < end);
            after.discarded = (ends[completing] - end) as u64;
            used = completing + 1;
        }
        *stream = after;
        Ok((output, used))
    }

    /// Ends the stream: what was held is given out, unless a stop ended it before. A second time
    /// there is nothing left.
    pub fn flush<'a>(&'a self, stream: &mut Stream) -> Output<'a> {
        match self.matching() {
            Matching::Bytes(stops) => {
                let release = stops.flush(stream);
                self.decoded(stream, release)
            }
            Matching::Ids(stops) => Output::Ids(stops.flush(stream).join()),
        }
    }

    /// The stop that ended the stream.
    #[must_use]
    pub fn hit(&self, stream: &Stream) -> Option<Hit> {
        match self.matching() {
            Matching::Bytes(stops) => stops.hit(stream),
            Matching::Ids(stops) => stops.hit(stream),
        }
    }

    /// Symbols given out so far, an unfinished character included.
    #[must_use]
    pub fn emitted(&self, stream: &Stream) -> u64 {
        match self.matching() {
            Matching::Bytes(stops) => stops.emitted(stream),
            Matching::Ids(stops) => stops.emitted(stream),
        }
    }

    /// The symbols held back by the stop rule: bytes for text too, they may end inside a character.
    #[must_use]
    pub fn held(&self, stream: &Stream) -> Piece<'_> {
        match self.matching() {
            Matching::Bytes(stops) => Piece::Bytes(stops.held(stream)),
            Matching::Ids(stops) => Piece::Ids(stops.held(stream)),
        }
    }

    /// As text where the kind is text. The decoder is closed when the stream has ended.
    #[inline]
    fn decoded<'a>(&self, stream: &mut Stream, release: Release<'a, u8>) -> Output<'a> {
        if self.kind() == Kind::Text {
            let ended = matches!(stream.phase, Phase::Hit | Phase::Flushed);
            Output::Text(stream.pending.decode(release.head, release.tail, ended))
        } else {
            Output::Bytes(release.join())
        }
    }

    fn nothing(&self) -> Output<'static> {
        match self.kind() {
            Kind::Text => Output::Text(Cow::Borrowed("")),
            Kind::Bytes => Output::Bytes(Cow::Borrowed(&[])),
            Kind::Tokens => Output::Ids(Cow::Borrowed(&[])),
        }
    }
}
