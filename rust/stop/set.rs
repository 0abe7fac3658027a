//! A set of stops, compiled: what is shared by all streams that end at them.

use std::borrow::Cow;

use super::automaton::{Automaton, Symbol};
use super::matcher::{Hit, Phase, Row};
use super::{MAX_TOTAL, Tie};
use crate::error::{Error, Number};

/// What the stops and the pieces are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes in, text out: matched on the UTF-8 bytes, exactly.
    Text,
    /// Bytes in, bytes out.
    Bytes,
    /// Token ids.
    Tokens,
}

impl Kind {
    /// Its name in Python.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Tokens => "tokens",
        }
    }
}

/// Stops over one alphabet and their automaton.
#[derive(Debug)]
pub struct Stops<S: Symbol> {
    pub(super) sequences: Vec<Box<[S]>>,
    pub(super) automaton: Automaton<S>,
    pub(super) include: bool,
    tie: Tie,
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
        let mut row = Row::default();
        self.feed(&mut row, whole, true).ok()?;
        self.hit(&row)
    }

    /// The stops that win in no text. Such a stop contains one that ends earlier, or loses the tie
    /// against its own suffix; its own text shows which.
    fn unreachable(&self) -> Vec<usize> {
        let wins = |index: &usize| {
            let stop = &self.sequences[*index];
            let (state, read) = self.automaton.run(0, stop, true);
            read == stop.len() && self.automaton.winner(state) == Some(*index)
        };
        (0..self.sequences.len()).filter(|index| !wins(index)).collect()
    }

    /// The symbols held back in this row: always a prefix of a stop.
    #[inline]
    #[must_use]
    pub fn held(&self, row: &Row) -> &[S] {
        let armed = match row.phase {
            _ if self.include || row.state == 0 => return &[],
            Phase::Unarmed => false,
            Phase::Armed => true,
            Phase::Hit | Phase::Flushed => return &[],
        };
        let (stop, depth) = self.automaton.label(row.state);
        let hold = self.automaton.hold(row.state, armed);
        self.sequences.get(stop).map_or(&[], |stop| &stop[depth - hold..depth])
    }
}

/// A compiled set of stops of one [`Kind`]. Immutable: share it between threads and streams.
#[derive(Debug)]
pub struct StopSet {
    kind: Kind,
    matching: Matching,
    fingerprint: u64,
}

/// The alphabet.
#[derive(Debug)]
pub(super) enum Matching {
    Bytes(Box<Stops<u8>>),
    Ids(Box<Stops<u32>>),
}

/// What a stream is fed with.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// For [`Kind::Text`] and [`Kind::Bytes`].
    Bytes(&'a [u8]),
    /// For [`Kind::Tokens`].
    Ids(&'a [u32]),
}

impl Piece<'_> {
    /// How many symbols it has.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Ids(ids) => ids.len(),
        }
    }

    /// What is before `at`, and the rest.
    pub(super) fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::Bytes(bytes) => (Self::Bytes(&bytes[..at]), Self::Bytes(&bytes[at..])),
            Self::Ids(ids) => (Self::Ids(&ids[..at]), Self::Ids(&ids[at..])),
        }
    }
}

/// What a stream gives out; borrowed from the piece or from a stop where that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// From [`Kind::Text`].
    Text(Cow<'a, str>),
    /// From [`Kind::Bytes`].
    Bytes(Cow<'a, [u8]>),
    /// From [`Kind::Tokens`].
    Ids(Cow<'a, [u32]>),
}

impl Output<'_> {
    /// The same, borrowed from nothing.
    #[must_use]
    pub fn into_owned(self) -> Output<'static> {
        match self {
            Self::Text(text) => Output::Text(owned(text)),
            Self::Bytes(bytes) => Output::Bytes(owned(bytes)),
            Self::Ids(ids) => Output::Ids(owned(ids)),
        }
    }

    /// Whether it is the piece itself, all of it.
    #[must_use]
    pub fn is_all_of(&self, piece: Piece<'_>) -> bool {
        match (self, piece) {
            (Self::Text(text), Piece::Bytes(bytes)) => std::ptr::eq(text.as_bytes(), bytes),
            (Self::Bytes(given), Piece::Bytes(bytes)) => std::ptr::eq(&raw const **given, bytes),
            (Self::Ids(given), Piece::Ids(ids)) => std::ptr::eq(&raw const **given, ids),
            _ => false,
        }
    }

    /// Both, one after the other; an output of another kind never follows.
    pub(super) fn followed_by(self, next: Self) -> Self {
        match (self, next) {
            (Self::Text(text), Self::Text(more)) => Self::Text(text + more),
            (Self::Bytes(bytes), Self::Bytes(more)) => Self::Bytes(joined(bytes, more)),
            (Self::Ids(ids), Self::Ids(more)) => Self::Ids(joined(ids, more)),
            (this, _) => this,
        }
    }
}

/// Both, without a copy where one of them is empty.
fn joined<'a, S: Copy>(first: Cow<'a, [S]>, then: Cow<'a, [S]>) -> Cow<'a, [S]> {
    match (first.is_empty(), then.is_empty()) {
        (true, _) => then,
        (_, true) => first,
        _ => Cow::Owned([first, then].concat()),
    }
}

/// Owned, without an allocation for nothing.
fn owned<B: ToOwned + ?Sized + 'static>(value: Cow<'_, B>) -> Cow<'static, B> {
    Cow::Owned(value.into_owned())
}

impl StopSet {
    /// Stops given as text, UTF-8.
    ///
    /// ```
    /// use rheostat::stop::{Output, Piece, Row, StopSet, Tie};
    ///
    /// let stops = StopSet::text(vec![b"\nUser:".as_slice().into()], Tie::First, false)?;
    /// let mut row = Row::default();
    /// let said: Vec<_> = ["Sure!", "\nUs", "e it well.\n", "User", ": and"]
    ///     .map(|piece| stops.feed(&mut row, Piece::Bytes(piece.as_bytes()), true).map(Output::into_owned))
    ///     .into_iter()
    ///     .collect::<Result<_, _>>()?;
    /// let said: Vec<_> = said.into_iter().map(|output| match output {
    ///     Output::Text(text) => text.into_owned(),
    ///     other => unreachable!("text stops give text, not {other:?}"),
    /// }).collect();
    /// assert_eq!(said, ["Sure!", "", "\nUse it well.", "", ""]);
    /// assert!(stops.hit(&row).is_some());
    /// # Ok::<(), rheostat::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Stops::new`].
    pub fn text(stops: Vec<Box<[u8]>>, tie: Tie, include: bool) -> Result<Self, Error> {
        Ok(Self::new(Kind::Text, Matching::Bytes(Box::new(Stops::new(stops, tie, include)?))))
    }

    /// Stops given as bytes.
    ///
    /// # Errors
    /// As [`Stops::new`].
    pub fn bytes(stops: Vec<Box<[u8]>>, tie: Tie, include: bool) -> Result<Self, Error> {
        Ok(Self::new(Kind::Bytes, Matching::Bytes(Box::new(Stops::new(stops, tie, include)?))))
    }

    /// Stops given as token ids.
    ///
    /// # Errors
    /// As [`Stops::new`].
    pub fn tokens(stops: Vec<Box<[u32]>>, tie: Tie, include: bool) -> Result<Self, Error> {
        Ok(Self::new(Kind::Tokens, Matching::Ids(Box::new(Stops::new(stops, tie, include)?))))
    }

    fn new(kind: Kind, matching: Matching) -> Self {
        let fingerprint = match &matching {
            Matching::Bytes(stops) => fingerprint(kind, stops),
            Matching::Ids(stops) => fingerprint(kind, stops),
        };
        Self { kind, matching, fingerprint }
    }

    pub(super) fn matching(&self) -> &Matching {
        &self.matching
    }

    /// What the stops and the pieces are.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A number that tells stop sets apart across processes, releases and implementations.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The longest stop's length, in symbols.
    #[must_use]
    pub fn max_len(&self) -> usize {
        fn longest<S: Symbol>(stops: &Stops<S>) -> usize {
            stops.sequences.iter().map(|stop| stop.len()).max().unwrap_or(0)
        }
        match &self.matching {
            Matching::Bytes(stops) => longest(stops),
            Matching::Ids(stops) => longest(stops),
        }
    }

    /// The indices of the stops that win in no text.
    #[must_use]
    pub fn unreachable(&self) -> Vec<usize> {
        match &self.matching {
            Matching::Bytes(stops) => stops.unreachable(),
            Matching::Ids(stops) => stops.unreachable(),
        }
    }

    /// Memory of the tables and the stops, in bytes.
    #[must_use]
    pub fn nbytes(&self) -> usize {
        fn size<S: Symbol>(stops: &Stops<S>) -> usize {
            let sequences = stops.sequences.iter().map(|stop| size_of_val(&stop[..]));
            stops.automaton.nbytes() + sequences.sum::<usize>()
        }
        match &self.matching {
            Matching::Bytes(stops) => size(stops),
            Matching::Ids(stops) => size(stops),
        }
    }

    /// The finish in the whole text; None too for a piece of the wrong alphabet.
    #[must_use]
    pub fn find(&self, whole: Piece<'_>) -> Option<Hit> {
        match (&self.matching, whole) {
            (Matching::Bytes(stops), Piece::Bytes(whole)) => stops.find(whole),
            (Matching::Ids(stops), Piece::Ids(whole)) => stops.find(whole),
            _ => None,
        }
    }

    /// Whether the winner's own symbols are part of the output.
    #[must_use]
    pub fn include(&self) -> bool {
        match &self.matching {
            Matching::Bytes(stops) => stops.include,
            Matching::Ids(stops) => stops.include,
        }
    }

    /// Which stop wins where several complete at the same place.
    #[must_use]
    pub fn tie(&self) -> Tie {
        match &self.matching {
            Matching::Bytes(stops) => stops.tie,
            Matching::Ids(stops) => stops.tie,
        }
    }
}

impl PartialEq for StopSet {
    fn eq(&self, other: &Self) -> bool {
        let stops = match (&self.matching, &other.matching) {
            (Matching::Bytes(one), Matching::Bytes(two)) => one.sequences == two.sequences,
            (Matching::Ids(one), Matching::Ids(two)) => one.sequences == two.sequences,
            _ => false,
        };
        stops && self.kind == other.kind && self.tie() == other.tie() && self.include() == other.include()
    }
}

/// FNV-1a over all that decides what a matcher does: portable, and the same in the reference.
fn fingerprint<S: Symbol>(kind: Kind, stops: &Stops<S>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    add(kind as u8);
    add(stops.tie as u8);
    add(u8::from(stops.include));
    for stop in &stops.sequences {
        (stop.len() as u64).to_le_bytes().into_iter().for_each(&mut add);
        stop.iter().flat_map(|symbol| symbol.bytes()).for_each(&mut add);
    }
    hash
}
