//! Bytes to text as they come, equal to Python's `codecs.getincrementaldecoder("utf-8")("replace")`:
//! a character's first bytes wait for the rest, ill-formed bytes give one U+FFFD per maximal subpart.

use std::borrow::Cow;

/// The beginning of a character, at most three bytes that may still become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    bytes: [u8; 3],
    len: u8,
}

/// Whether these bytes wait for more: the first of a character and nothing else.
fn waits(bytes: &[u8]) -> bool {
    let begins = |error: std::str::Utf8Error| error.valid_up_to() == 0 && error.error_len().is_none();
    is_surrogate(bytes) || std::str::from_utf8(bytes).is_err_and(begins)
}

/// Python waits for the third byte of an encoded surrogate too, which another error handler than
/// "replace" would accept. Whatever comes then, the two bytes are ill-formed one by one.
fn is_surrogate(bytes: &[u8]) -> bool {
    matches!(bytes, [0xED, 0xA0..=0xBF])
}

impl Pending {
    /// From its bytes; None if they are not the proper beginning of a character.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut pending = Self::default();
        if !bytes.is_empty() && !waits(bytes) {
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
        // One byte at a time until the waiting character is whole or turns out ill-formed; the byte
        // that broke it starts afresh.
        while self.len > 0 {
            let Some((&next, rest)) = bytes.split_first() else { return };
            let mut longer = [0; 4];
            let len = self.len as usize;
            longer[..len].copy_from_slice(self.bytes());
            longer[len] = next;
            let longer = &longer[..=len];
            if let Some(pending) = Self::new(longer) {
                (*self, bytes) = (pending, rest);
            } else if let Ok(character) = std::str::from_utf8(longer) {
                *self = Self::default();
                out.push_str(character);
                bytes = rest;
            } else {
                self.close(out);
            }
        }
        let (bytes, tail) = match bytes.split_last_chunk::<2>() {
            Some((before, tail)) if is_surrogate(tail) => (before, &tail[..]),
            _ => (bytes, &[][..]),
        };
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            out.push_str(chunk.valid());
            match Self::new(chunk.invalid()) {
                Some(pending) if chunks.peek().is_none() && tail.is_empty() => *self = pending,
                _ if chunk.invalid().is_empty() => {}
                _ => out.push(char::REPLACEMENT_CHARACTER),
            }
        }
        if let (false, Some(pending)) = (tail.is_empty(), Self::new(tail)) {
            *self = pending;
        }
    }

    /// Ends the stream: what waits will never be a character.
    pub fn close(&mut self, out: &mut String) {
        out.push_str(&String::from_utf8_lossy(self.bytes()));
        *self = Self::default();
    }

    /// Decodes `head` and then `tail`, and ends the stream if `close`. Text that is there already is
    /// borrowed: most pieces are whole characters and follow nothing that waits.
    #[inline]
    pub(super) fn decode<'a>(&mut self, head: &'a [u8], tail: &'a [u8], close: bool) -> Cow<'a, str> {
        if self.len == 0 && (head.is_empty() || tail.is_empty()) {
            let only = if head.is_empty() { tail } else { head };
            if let Ok(text) = std::str::from_utf8(only) {
                return Cow::Borrowed(text);
            }
        }
        Cow::Owned(self.decode_slowly(head, tail, close))
    }

    #[cold]
    fn decode_slowly(&mut self, head: &[u8], tail: &[u8], close: bool) -> String {
        let mut out = String::new();
        self.push(head, &mut out);
        self.push(tail, &mut out);
        if close {
            self.close(&mut out);
        }
        out
    }
}
