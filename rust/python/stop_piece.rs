//! Pieces in, checked against the kind of the stops; what a stream gives out, wrapped.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use super::stop_input::{Name, ids, items, utf8, wrong_type};
use crate::stop::{Kind, Output, Piece};

/// A piece as Python gave it.
pub enum PyPiece<'a, 'py> {
    /// The str too, to be given back as it is.
    Text(&'a Bound<'py, PyString>, &'a str),
    Bytes(&'a [u8]),
    Ids(Vec<u32>),
}

impl<'a, 'py> PyPiece<'a, 'py> {
    /// Checked against the kind of the stops.
    pub fn new(value: &'a Bound<'py, PyAny>, kind: Kind, name: Name) -> PyResult<Self> {
        if kind == Kind::Tokens {
            return ids(value, name).map(Self::Ids);
        }
        if kind == Kind::Text
            && let Ok(text) = value.cast::<PyString>()
        {
            return Ok(Self::Text(text, utf8(text, name)?));
        }
        match value.cast::<PyBytes>() {
            Ok(bytes) => Ok(Self::Bytes(bytes.as_bytes())),
            Err(_) if kind == Kind::Text => {
                Err(wrong_type(name, "must be str or bytes for kind 'text'", value))
            }
            Err(_) => Err(wrong_type(name, "must be bytes for kind 'bytes'", value)),
        }
    }

    /// Whether it came as a str, of no subclass and not empty: where it is all given out it goes back as it came.
    pub fn is_plain_str(&self) -> bool {
        matches!(self, Self::Text(text, utf8) if !utf8.is_empty() && text.is_exact_instance_of::<PyString>())
    }

    pub fn piece(&self) -> Piece<'_> {
        match self {
            Self::Text(_, text) => Piece::Bytes(text.as_bytes()),
            Self::Bytes(bytes) => Piece::Bytes(bytes),
            Self::Ids(ids) => Piece::Ids(ids),
        }
    }
}

/// Pieces one after the other, and where each ends.
pub struct Joined {
    bytes: Vec<u8>,
    ids: Vec<u32>,
    kind: Kind,
    pub ends: Vec<usize>,
}

/// Bytes that a piece has, roughly.
const BYTES: usize = 8;

impl Joined {
    /// The pieces of a sequence, each checked.
    pub fn new(values: &Bound<'_, PyAny>, kind: Kind) -> PyResult<Self> {
        let mut joined = Self { bytes: vec![], ids: vec![], kind, ends: vec![] };
        if let Ok(list) = values.cast_exact::<PyList>() {
            joined.reserve(list.len());
            for (i, value) in list.iter().enumerate() {
                joined.push(&value, i)?;
            }
        } else {
            let values = items(values, Name::of("pieces"), "must be a sequence of pieces")?;
            joined.reserve(values.len());
            for (i, value) in values.iter().enumerate() {
                joined.push(value, i)?;
            }
        }
        Ok(joined)
    }

    fn reserve(&mut self, pieces: usize) {
        self.ends.reserve(pieces);
        match self.kind {
            Kind::Tokens => self.ids.reserve(pieces),
            Kind::Text | Kind::Bytes => self.bytes.reserve(pieces * BYTES),
        }
    }

    /// A piece more; plain text, which it mostly is, is looked at and copied.
    #[inline]
    fn push(&mut self, value: &Bound<'_, PyAny>, i: usize) -> PyResult<()> {
        if self.kind == Kind::Text
            && let Ok(text) = value.cast::<PyString>()
            && let Ok(text) = text.to_str()
        {
            self.bytes.extend_from_slice(text.as_bytes());
            self.ends.push(self.bytes.len());
            return Ok(());
        }
        match PyPiece::new(value, self.kind, Name::of("pieces").at(i))?.piece() {
            Piece::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
            Piece::Ids(ids) => self.ids.extend_from_slice(ids),
        }
        self.ends.push(self.bytes.len().max(self.ids.len()));
        Ok(())
    }

    /// All of them.
    pub fn whole(&self) -> Piece<'_> {
        match self.kind {
            Kind::Tokens => Piece::Ids(&self.ids),
            Kind::Text | Kind::Bytes => Piece::Bytes(&self.bytes),
        }
    }
}

/// What a stream gave out, as str, bytes or a list of ints.
pub fn wrap<'py>(py: Python<'py>, output: Output<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match output {
        Output::Text(text) if text.is_empty() => pyo3::intern!(py, "").clone().into_any(),
        Output::Text(text) => PyString::new(py, &text).into_any(),
        Output::Bytes(bytes) => PyBytes::new(py, &bytes).into_any(),
        Output::Ids(ids) => PyList::new(py, ids.iter())?.into_any(),
    })
}
