//! Bytes to text as they come, equal to Python's `codecs.getincrementaldecoder("utf-8")("replace")`:
//! a character's first bytes wait for the rest, ill-formed bytes give one U+FFFD per maximal subpart.

use std::borrow::Cow;

/// The beginning of a character, at most three bytes that may still become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    bytes: [u8; 3],
    len: u8,
}

/// Whether the first bytes of a character stand here and nothing else.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

impl Pending {
    /// From its bytes; None if they are not the proper beginning of a character.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut pending = Self::default();
        if !bytes.is_empty() && !is_beginning(bytes) {
            return None;
        }
        pending.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        pending.len = bytes.len() as u8;
        Some(pending)
    }

    /// The bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    /// Decodes `bytes`, appends the text to `out`, keeps an unfinished character back.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut String) {
        // One byte at a time until the waiting character is whole or turns out ill-formed. What
        // waits is the longest well-formed beginning, so in that case it is one maximal subpart and
        // the byte that broke it starts afresh.
        while self.len > 0 {
            let Some((&next, rest)) = bytes.split_first() else { return };
            let mut longer = [0; 4];
            let len = self.len as usize;
            longer[..len].copy_from_slice(self.bytes());
            longer[len] = next;
            let longer = &longer[..=len];
            if let Some(pending) = Self::new(longer) {
                (*self, bytes) = (pending, rest);
            } else {
                *self = Self::default();
                if let Ok(character) = std::str::from_utf8(longer) {
                    out.push_str(character);
                    bytes = rest;
                } else {
                    out.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            out.push_str(chunk.valid());
            match Self::new(chunk.invalid()) {
                Some(pending) if chunks.peek().is_none() => *self = pending,
                _ => out.push(char::REPLACEMENT_CHARACTER),
            }
        }
    }

    /// Ends the stream: what waits will never be a character.
    pub fn close(&mut self, out: &mut String) {
        if self.len > 0 {
            *self = Self::default();
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// Decodes `head` and then `tail`, and ends the stream if `close`. Text that is there already is
    /// borrowed: most pieces are whole characters and follow nothing that waits.
    pub(super) fn decode<'a>(&mut self, head: &'a [u8], tail: &'a [u8], close: bool) -> Cow<'a, str> {
        if self.len == 0 && (head.is_empty() || tail.is_empty()) {
            let only = if head.is_empty() { tail } else { head };
            if let Ok(text) = std::str::from_utf8(only) {
                return Cow::Borrowed(text);
            }
        }
        let mut out = String::new();
        self.push(head, &mut out);
        self.push(tail, &mut out);
        if close {
            self.close(&mut out);
        }
        Cow::Owned(out)
    }
}
