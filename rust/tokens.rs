//! Token ids to their bytes.

/// The bytes of every token, or none for a token without text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenTable {
    /// All tokens' bytes, one after the other.
    bytes: Vec<u8>,
    /// Where each token's bytes end; those of a token without text end where they begin.
    ends: Vec<usize>,
    /// Which tokens have text: it may be the empty text.
    has_text: Vec<bool>,
}

impl TokenTable {
    /// Appends a token; its id is the length before.
    pub fn push(&mut self, token: Option<&[u8]>) {
        self.bytes.extend_from_slice(token.unwrap_or_default());
        self.ends.push(self.bytes.len());
        self.has_text.push(token.is_some());
    }

    /// How many tokens there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of token `id`: None if there is no such token, `Some(None)` if it has no text.
    #[must_use]
    pub fn get(&self, id: usize) -> Option<Option<&[u8]>> {
        let end = *self.ends.get(id)?;
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        Some(self.has_text[id].then_some(&self.bytes[start..end]))
    }
}

impl<T: AsRef<[u8]>> FromIterator<Option<T>> for TokenTable {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(tokens: I) -> Self {
        let mut table = Self::default();
        for token in tokens {
            table.push(token.as_ref().map(AsRef::as_ref));
        }
        table
    }
}
