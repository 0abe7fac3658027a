//! Stops over one alphabet.

use super::automaton::{Automaton, Symbol};
use super::matcher::{Hit, Phase, Stream};
use super::{MAX_TOTAL, Tie};
use crate::error::{Error, Number};

/// Stops over one alphabet and their automaton.
#[derive(Debug)]
pub struct Stops<S: Symbol> {
    pub(super) sequences: Vec<Box<[S]>>,
    pub(super) automaton: Automaton<S>,
    pub(super) include: bool,
    pub(super) tie: Tie,
}

impl<S: Symbol> Stops<S> {
    /// Compiles the stops.
    ///
    /// # Errors
    /// An empty stop, or more than [`MAX_TOTAL`] symbols in all.
    pub fn new(stops: Vec<Box<[S]>>, tie: Tie, include: bool) -> Result<Self, Error> {
        if let Some(index) = stops.iter().position(|stop| stop.is_empty()) {
            return Err(Error::EmptyStop { index });
        }
        let total: usize = stops.iter().map(|stop| stop.len()).sum();
        if total > MAX_TOTAL {
            return Err(Error::Knob {
                argument: "stops",
                rule: "must hold at most 1048576 symbols in all",
                value: Number::Int(total as i128),
                row: None,
            });
        }
        Ok(Self { automaton: Automaton::new(&stops, tie), sequences: stops, tie, include })
    }

    /// The stops, in the caller's order.
    #[must_use]
    pub fn stops(&self) -> &[Box<[S]>] {
        &self.sequences
    }

    /// The finish in the whole text.
    #[must_use]
    pub fn find(&self, whole: &[S]) -> Option<Hit> {
        let mut stream = Stream::default();
        self.feed(&mut stream, whole, true).ok()?;
        self.hit(&stream)
    }

    /// The stops that win in no text. Such a stop contains one that ends earlier, or loses the tie
    /// against its own suffix; its own text shows which.
    pub(super) fn unreachable(&self) -> Vec<usize> {
        let wins = |index: &usize| {
            let stop = &self.sequences[*index];
            let (state, read) = self.automaton.run(0, stop, true);
            read == stop.len() && self.automaton.winner(state) == Some(*index)
        };
        (0..self.sequences.len()).filter(|index| !wins(index)).collect()
    }

    /// The symbols held back in this stream: always a prefix of a stop.
    #[inline]
    #[must_use]
    pub fn held(&self, stream: &Stream) -> &[S] {
        let armed = match stream.phase {
            _ if self.include || stream.state == 0 => return &[],
            Phase::Unarmed => false,
            Phase::Armed => true,
            Phase::Hit | Phase::Flushed => return &[],
        };
        let (stop, depth) = self.automaton.label(stream.state);
        let hold = self.automaton.hold(stream.state, armed);
        self.sequences.get(stop).map_or(&[], |stop| &stop[depth - hold..depth])
    }
}
