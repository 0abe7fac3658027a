//! A set of stops, compiled: what is shared by all streams that end at them.

use super::Tie;
use super::automaton::Symbol;
use super::matcher::Hit;
use super::piece::{Kind, Piece};
use super::stops::Stops;
use crate::error::Error;

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

impl StopSet {
    /// Stops given as text, UTF-8. (Bytes that are none are matched as they stand, and given out as U+FFFD.)
    ///
    /// ```
    /// use rheostat::stop::{Output, Piece, StopSet, Stream, Tie};
    ///
    /// let stops = StopSet::text(vec![b"\nUser:".as_slice().into()], Tie::First, false)?;
    /// let mut stream = Stream::default();
    /// let said: Vec<_> = ["Sure!", "\nUs", "e it well.\n", "User", ": and"]
    ///     .map(|piece| stops.feed(&mut stream, Piece::Bytes(piece.as_bytes()), true).map(Output::into_owned))
    ///     .into_iter()
    ///     .collect::<Result<_, _>>()?;
    /// let said: Vec<_> = said.into_iter().map(|output| match output {
    ///     Output::Text(text) => text.into_owned(),
    ///     other => unreachable!("text stops give text, not {other:?}"),
    /// }).collect();
    /// assert_eq!(said, ["Sure!", "", "\nUse it well.", "", ""]);
    /// assert!(stops.hit(&stream).is_some());
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
    /// ```
    /// use rheostat::stop::{Output, Piece, StopSet, Stream, Tie};
    ///
    /// let stops = StopSet::bytes(vec![b"\r\n\r\n".as_slice().into()], Tie::First, true)?;
    /// let mut stream = Stream::default();
    /// let pieces = [b"head\r\n".as_slice(), b"\r\nbody"];
    /// let said = pieces.map(|piece| stops.feed(&mut stream, Piece::Bytes(piece), true));
    /// // The stop is part of the output here (`include`), so nothing of it waits.
    /// let right = [b"head\r\n".as_slice(), b"\r\n"].map(|bytes| Ok(Output::Bytes(bytes.into())));
    /// assert_eq!(said, right);
    /// let hit = stops.hit(&stream).expect("the stop is complete");
    /// assert_eq!((hit.start, hit.end, hit.discarded), (4, 8, 4));
    /// # Ok::<(), rheostat::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Stops::new`].
    pub fn bytes(stops: Vec<Box<[u8]>>, tie: Tie, include: bool) -> Result<Self, Error> {
        Ok(Self::new(Kind::Bytes, Matching::Bytes(Box::new(Stops::new(stops, tie, include)?))))
    }

    /// Stops given as token ids.
    ///
    /// ```
    /// use rheostat::stop::{Output, Piece, StopSet, Stream, Tie};
    ///
    /// let stops = StopSet::tokens(vec![[7, 8].into(), [9].into()], Tie::First, false)?;
    /// let mut stream = Stream::default();
    /// for (ids, said) in [([1, 7], [1].as_slice()), ([5, 7], &[7, 5]), ([8, 2], &[])] {
    ///     assert_eq!(stops.feed(&mut stream, Piece::Ids(&ids), true)?, Output::Ids(said.into()));
    /// }
    /// assert_eq!(stops.hit(&stream).map(|hit| (hit.index, hit.start)), Some((0, 3)));
    /// # Ok::<(), rheostat::Error>(())
    /// ```
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
