//! Token ids to their bytes.

/// The bytes of every token, or none for a token without text.
///
/// ```
/// use rheostat::tokens::TokenTable;
///
/// let tokens = [Some(b"h".as_slice()), Some(b"https"), Some(b"x"), Some(b"\xc3"), None];
/// let table: TokenTable = tokens.into_iter().collect();
/// assert_eq!(table.get(1), Some(Some(b"https".as_slice())));
/// assert_eq!((table.get(4), table.get(5)), (Some(None), None)); // without text; no such token
/// assert!(table.is_whole(2) && !table.is_whole(3)); // half a character
/// assert_eq!(table.prefix_mask(b"ht"), [0b00011]); // a bitmask for what may begin a text that begins so
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenTable {
    /// All tokens' bytes, one after the other.
    bytes: Vec<u8>,
    /// Where each token's bytes end; those of a token without text end where they begin.
    ends: Vec<usize>,
    /// Which tokens have text: it may be the empty text.
    has_text: Vec<bool>,
    /// Which of them are whole characters, at least one.
    is_whole: Vec<bool>,
}

impl TokenTable {
    /// Appends a token; its id is the length before.
    pub fn push(&mut self, token: Option<&[u8]>) {
        self.bytes.extend_from_slice(token.unwrap_or_default());
        self.ends.push(self.bytes.len());
        self.has_text.push(token.is_some());
        self.is_whole
            .push(token.is_some_and(|bytes| !bytes.is_empty() && std::str::from_utf8(bytes).is_ok()));
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

    /// Whether token `id` is there and is whole characters, at least one: UTF-8.
    #[must_use]
    pub fn is_whole(&self, id: usize) -> bool {
        self.is_whole.get(id).is_some_and(|is_whole| *is_whole)
    }

    /// Every token's bytes in the order of the ids, none for a token without text.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> {
        (0..self.len()).map(|id| self.get(id).flatten())
    }

    /// The tokens that can come first in a text that begins with `prefix`: those that begin with it, and its own
    /// non-empty beginnings. Bit `id % 32` of word `id / 32`.
    #[must_use]
    pub fn prefix_mask(&self, prefix: &[u8]) -> Vec<i32> {
        let mut words = vec![0u32; self.len().div_ceil(32)];
        for (id, token) in self.iter().enumerate() {
            let fits =
                |token: &[u8]| token.starts_with(prefix) || (!token.is_empty() && prefix.starts_with(token));
            words[id / 32] |= u32::from(token.is_some_and(fits)) << (id % 32);
        }
        words.into_iter().map(u32::cast_signed).collect()
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

#[cfg(test)]
mod tests {
    use super::TokenTable;

    #[test]
    fn a_prefix_mask_has_the_tokens_that_begin_with_it_and_its_own_beginnings() {
        let mut tokens = vec![Some("h"), Some("htt"), Some("https"), Some("x"), Some(""), None, Some("hx")];
        tokens.resize(31, Some("t"));
        tokens.extend([Some("ht"), Some("http")]);
        let table: TokenTable = tokens.into_iter().collect();
        assert_eq!(table.prefix_mask(b"htt"), [0b111 | i32::MIN, 1]);
        assert_eq!(table.prefix_mask(b"")[1], 1);
        assert!(TokenTable::default().prefix_mask(b"h").is_empty());
    }
}
