//! What goes into a stream and what comes out of it.

use std::borrow::Cow;

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
