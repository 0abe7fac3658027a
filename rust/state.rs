//! The state of one sequence: its history and what is remembered of it, its place in chance, and mirostat's
//! mu. It moves on with each token, and is stored as bytes that are the same everywhere.
//!
//! A snapshot, little-endian: `RHEO`, u32 version, u32 [`LAW`], u64 seed, u64 stream, u32 whether there is a mu
//! (0 or 1), f64 mu (0 without), u32 number of prompt ids, u32 number of output ids, the ids as u32.

use crate::Error;
use crate::error::Number;
use crate::history::History;
use crate::law::LAW;
use crate::memory::{Memory, Moment, Needs};
use crate::mirostat::Mirostat;

/// The version of the snapshot.
pub const SNAPSHOT_VERSION: u32 = 1;

const MAGIC: [u8; 4] = *b"RHEO";

/// The bytes before the ids.
const HEAD: usize = 48;

/// A sequence between two tokens.
#[derive(Clone, Debug)]
pub struct State {
    history: History,
    memory: Memory,
    needs: Needs,
    vocab_size: usize,
    /// Which chance it has.
    pub seed: u64,
    /// Which sequence it is among those of the seed.
    pub stream: u64,
    /// The surprise allowed, where mirostat is on.
    pub mu: Option<f64>,
}

/// What stands in a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The ids of prompt and output.
    pub history: History,
    /// As in [`State`].
    pub seed: u64,
    /// As in [`State`].
    pub stream: u64,
    /// As in [`State`].
    pub mu: Option<f64>,
}

impl State {
    /// After this history, with what is to be remembered of it. Without a mu mirostat starts.
    #[must_use]
    pub fn new(saved: Saved, needs: Needs, mirostat: Option<Mirostat>, vocab_size: usize) -> Self {
        let Saved { history, seed, stream, mu } = saved;
        let memory = Memory::to_keep(&history, needs, vocab_size);
        let mu = mirostat.map(|mirostat| mu.unwrap_or(mirostat.start()));
        Self { history, memory, needs, vocab_size, seed, stream, mu }
    }

    /// Remembers from now on what is needed. Without a mu mirostat starts.
    pub fn set_needs(&mut self, needs: Needs, mirostat: Option<Mirostat>) {
        if needs != self.needs {
            self.memory = Memory::to_keep(&self.history, needs, self.vocab_size);
            self.needs = needs;
        }
        self.mu = mirostat.map(|mirostat| self.mu.unwrap_or(mirostat.start()));
    }

    /// Goes back, or on, to what was saved. Speculative decoding does so with all but the last few tokens in
    /// common: what is remembered is then taken back token by token, wherever that is less than making it anew.
    pub fn restore(&mut self, saved: Saved, mirostat: Option<Mirostat>) {
        let (now, then) = (self.history.all(), saved.history.all());
        let common = now.iter().zip(then).take_while(|(a, b)| a == b).count();
        let (leave, come) = (now.len() - common, then.len() - common);
        let has_same_prompt = self.history.prompt() == saved.history.prompt();
        if !has_same_prompt || leave + come > then.len() {
            *self = Self::new(saved, self.needs, mirostat, self.vocab_size);
            return;
        }
        for _ in 0..leave {
            self.memory.shorten(&self.history);
            self.history.pop();
        }
        self.extend(&then[common..]);
        (self.seed, self.stream, self.mu) = (saved.seed, saved.stream, saved.mu);
        self.mu = mirostat.map(|mirostat| self.mu.unwrap_or(mirostat.start()));
    }

    /// The ids so far.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many tokens there are in the vocabulary.
    #[must_use]
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// How many tokens the output has: the position of the next draw.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.history.output().len() as u64
    }

    /// The sequence as masks and penalties see it, with this step's bitmask.
    #[must_use]
    pub fn moment<'a>(&'a self, bitmask: Option<&'a [i32]>) -> Moment<'a> {
        Moment { history: &self.history, memory: &self.memory, bitmask }
    }

    /// Moves on by a token of the vocabulary.
    pub fn accept(&mut self, id: u32) {
        self.history.push(id);
        self.memory.extend(&self.history);
    }

    /// Moves on by several.
    pub fn extend(&mut self, ids: &[u32]) {
        for id in ids {
            self.accept(*id);
        }
    }

    /// The snapshot.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { history, seed, stream, mu, .. } = self;
        let mut bytes = Vec::with_capacity(HEAD + 4 * history.all().len());
        bytes.extend(MAGIC);
        bytes.extend(SNAPSHOT_VERSION.to_le_bytes());
        bytes.extend(LAW.to_le_bytes());
        bytes.extend(seed.to_le_bytes());
        bytes.extend(stream.to_le_bytes());
        bytes.extend(u32::from(mu.is_some()).to_le_bytes());
        bytes.extend(mu.unwrap_or(0.0).to_le_bytes());
        bytes.extend((history.prompt().len() as u32).to_le_bytes());
        bytes.extend((history.output().len() as u32).to_le_bytes());
        bytes.extend(history.all().iter().flat_map(|id| id.to_le_bytes()));
        bytes
    }
}

impl Saved {
    /// What stands in a snapshot of a sequence over this vocabulary.
    ///
    /// # Errors
    /// [`Error::Snapshot`].
    pub fn from_bytes(bytes: &[u8], vocab_size: usize) -> Result<Self, Error> {
        let bad = |rule: &str, got: String| Error::Snapshot { rule: rule.to_owned(), got };
        let malformed =
            || bad("must be bytes that Sampler.snapshot gave", format!("{} other bytes", bytes.len()));
        let mut rest = Reader(bytes);
        if rest.take() != Some(MAGIC) {
            return Err(malformed());
        }
        let version = rest.u32().ok_or_else(malformed)?;
        if version != SNAPSHOT_VERSION {
            return Err(bad(&format!("must be of version {SNAPSHOT_VERSION}"), version.to_string()));
        }
        let law = rest.u32().ok_or_else(malformed)?;
        if law != LAW {
            return Err(bad(&format!("must be of law {LAW}"), law.to_string()));
        }
        let saved = rest.saved().ok_or_else(malformed)?;
        if let Some(mu) = saved.mu.filter(|mu| !mu.is_finite()) {
            return Err(bad("must have a finite mu", Number::Float(mu).to_string()));
        }
        match saved.history.all().iter().find(|id| **id as usize >= vocab_size) {
            Some(id) => Err(bad(&format!("must hold token ids in [0, {vocab_size})"), id.to_string())),
            None => Ok(saved),
        }
    }
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn saved(mut self) -> Option<Saved> {
        let (seed, stream) = (self.u64()?, self.u64()?);
        let mu = match (self.u32()?, self.u64()?) {
            (0, 0) => None,
            (1, bits) => Some(f64::from_bits(bits)),
            _ => return None,
        };
        let (prompt, output) = (self.u32()? as usize, self.u32()? as usize);
        let (ids, others) = self.0.as_chunks();
        if !others.is_empty() || prompt.checked_add(output) != Some(ids.len()) {
            return None;
        }
        let ids: Vec<u32> = ids.iter().map(|id| u32::from_le_bytes(*id)).collect();
        let (prompt, output) = ids.split_at(prompt);
        Some(Saved { history: History::new(prompt, output), seed, stream, mu })
    }
}
