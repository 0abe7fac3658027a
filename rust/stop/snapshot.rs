//! A matcher's state in a form that outlives the process: the automaton's state as "so many symbols
//! of that stop", which any build, and the reference, understands.

use super::automaton::Symbol;
use super::matcher::{Phase, Stream};
use super::piece::Kind;
use super::set::{Matching, StopSet};
use super::stops::Stops;
use super::utf8::Pending;
use crate::error::{Error, Number};

/// The version of [`Snapshot`]'s meaning.
pub const SNAPSHOT_VERSION: u32 = 1;

/// A saved [`Stream`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Of the stop set it belongs to.
    pub fingerprint: u64,
    /// Where the stream is in its life.
    pub phase: Phase,
    /// The stream's longest suffix that begins a stop: the stop's index,
    pub stop: u32,
    /// and how many of its symbols; 0 once the stream has ended.
    pub depth: u32,
    /// Bytes that wait for the rest of their character.
    pub pending: Vec<u8>,
    /// Symbols read.
    pub fed: u64,
    /// Symbols given out.
    pub emitted: u64,
    /// The stop that ended the stream, and how many symbols it discarded.
    pub hit: Option<(u32, u64)>,
}

impl<S: Symbol> Stops<S> {
    /// The state for a prefix of a stop: its index and how many symbols.
    fn state(&self, stop: u32, depth: u32) -> Option<u32> {
        if depth == 0 {
            return (stop == 0).then_some(0);
        }
        let prefix = self.sequences.get(stop as usize)?.get(..depth as usize)?;
        Some(self.automaton.run(0, prefix, false).0)
    }

    fn label(&self, stream: &Stream) -> (u32, u32) {
        match self.automaton.label(stream.state) {
            (_, 0) => (0, 0),
            (stop, depth) => (stop as u32, depth as u32),
        }
    }

    /// The stream, if a matcher can be in that state. `text`: whether characters can be unfinished.
    fn restore(&self, saved: &Snapshot, text: bool) -> Option<Stream> {
        let state = self.state(saved.stop, saved.depth)?;
        let pending = Pending::new(&saved.pending)?;
        let (stop, discarded) = saved.hit.unwrap_or_default();
        let stream = Stream { fed: saved.fed, discarded, state, stop, phase: saved.phase, pending };

        // Counters stay far from where they would overflow, and so does every sum with them.
        let counters = saved.fed.max(discarded) <= u64::MAX >> 1 && u64::from(saved.depth) <= saved.fed;
        let running = matches!(saved.phase, Phase::Armed | Phase::Unarmed);
        let ended = running || (saved.depth == 0 && saved.pending.is_empty());
        let hit = match saved.hit {
            None => saved.phase != Phase::Hit,
            Some((stop, _)) => {
                let len = self.sequences.get(stop as usize)?.len() as u64;
                saved.phase == Phase::Hit && len <= saved.fed
            }
        };
        let fits = counters && ended && hit && (text || saved.pending.is_empty());
        (fits && self.emitted(&stream) == saved.emitted && self.pending_fits(saved, &stream))
            .then_some(stream)
    }

    /// An unfinished character is the end of what was given out, and so is the label up to the hold.
    fn pending_fits(&self, saved: &Snapshot, stream: &Stream) -> bool {
        let Some(stop) = self.sequences.get(saved.stop as usize).filter(|_| saved.depth > 0) else {
            return saved.pending.len() as u64 <= saved.emitted;
        };
        let given = &stop[..saved.depth as usize - self.held(stream).len()];
        let both = given.len().min(saved.pending.len());
        let same = given[given.len() - both..]
            .iter()
            .zip(&saved.pending[saved.pending.len() - both..])
            .all(|(&symbol, &byte)| symbol.bytes().eq([byte]));
        same && saved.pending.len() as u64 <= saved.emitted
    }
}

impl StopSet {
    /// The stream in portable form.
    #[must_use]
    pub fn save(&self, stream: &Stream) -> Snapshot {
        let (stop, depth) = match self.matching() {
            Matching::Bytes(stops) => stops.label(stream),
            Matching::Ids(stops) => stops.label(stream),
        };
        Snapshot {
            fingerprint: self.fingerprint(),
            phase: stream.phase,
            stop,
            depth,
            pending: stream.pending.bytes().to_vec(),
            fed: stream.fed,
            emitted: self.emitted(stream),
            hit: self.hit(stream).map(|hit| (hit.index as u32, hit.discarded)),
        }
    }

    /// The stream again.
    ///
    /// # Errors
    /// A state of another stop set, or one that no matcher can be in.
    pub fn restore(&self, saved: &Snapshot) -> Result<Stream, Error> {
        if saved.fingerprint != self.fingerprint() {
            return Err(Error::Knob {
                argument: "state",
                rule: "must come from an equal stop set",
                value: Number::Int(saved.fingerprint.into()),
                row: None,
            });
        }
        let stream = match self.matching() {
            Matching::Bytes(stops) => stops.restore(saved, self.kind() == Kind::Text),
            Matching::Ids(stops) => stops.restore(saved, false),
        };
        stream.ok_or(Error::BadState)
    }
}
