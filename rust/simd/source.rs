//! A row where it stands: in the type it came in, under a mask. A kernel over a [`Reader`] reads it as float32
//! vectors without a copy: what is narrow is widened in the load, and what is forbidden is -inf.

use half::{bf16, f16};

use super::vector::Vector;

/// Logits as they lie in memory. float16 and bfloat16 widen exactly.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // the types say it
pub enum Logits<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
}

/// Logits, of which those that are not allowed read as -inf.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// All of them.
    pub logits: Logits<'a>,
    /// A bit for each, 32 in a word, lowest first, 1 where it is allowed; None is all.
    pub allowed: Option<&'a [u32]>,
}

impl Logits<'_> {
    /// How many.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::F32(row) => row.len(),
            Self::F16(row) => row.len(),
            Self::Bf16(row) => row.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// So many from a place on.
    #[must_use]
    pub fn part(self, from: usize, len: usize) -> Self {
        match self {
            Self::F32(row) => Self::F32(&row[from..from + len]),
            Self::F16(row) => Self::F16(&row[from..from + len]),
            Self::Bf16(row) => Self::Bf16(&row[from..from + len]),
        }
    }

    /// The one at this place, widened.
    #[must_use]
    pub fn at(self, place: usize) -> f32 {
        match self {
            Self::F32(row) => row[place],
            Self::F16(row) => row[place].widened(),
            Self::Bf16(row) => row[place].widened(),
        }
    }
}

impl Source<'_> {
    /// How many logits.
    #[must_use]
    pub fn len(self) -> usize {
        self.logits.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// What the logit at this place reads as.
    #[must_use]
    pub fn at(self, place: usize) -> f32 {
        if self.allowed.is_none_or(|words| words[place / 32] >> (place % 32) & 1 == 1) {
            self.logits.at(place)
        } else {
            f32::NEG_INFINITY
        }
    }
}

impl<'a> From<&'a [f32]> for Source<'a> {
    fn from(row: &'a [f32]) -> Self {
        Self { logits: Logits::F32(row), allowed: None }
    }
}

/// A type that logits have in memory.
pub trait Element: Copy {
    /// What weighs nothing.
    const FORBIDDEN: Self;

    /// The first `LANES` values, widened.
    fn load<V: Vector>(values: &[Self]) -> V;
    /// Of values that make whole pairs of vectors the i-th vector, where it does not matter which half of a pair it is.
    #[inline(always)]
    fn load_half<V: Vector>(values: &[Self], i: usize) -> V {
        Self::load(&values[i * V::LANES..])
    }
    /// The value, widened.
    fn widened(self) -> f32;
}

impl Element for f32 {
    const FORBIDDEN: Self = f32::NEG_INFINITY;

    #[inline(always)]
    fn load<V: Vector>(values: &[Self]) -> V {
        V::load(values)
    }
    #[inline(always)]
    fn widened(self) -> f32 {
        self
    }
}

impl Element for f16 {
    const FORBIDDEN: Self = f16::NEG_INFINITY;

    #[inline(always)]
    fn load<V: Vector>(values: &[Self]) -> V {
        V::load_f16(values)
    }
    /// By no branch. Exponent and fraction, put where a float32 has them, are the value times 2**-112, a subnormal one's
    /// too, and a multiplication makes up for that; what would be 2**16 and more is infinite or NaN.
    #[inline(always)]
    fn widened(self) -> f32 {
        const FACTOR: f32 = f32::from_bits((112 + 127) << 23); // 2**112
        const BEYOND: f32 = 65_536.0;
        let bits = u32::from(self.to_bits());
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * FACTOR;
        let exponent = if magnitude >= BEYOND { f32::INFINITY.to_bits() } else { 0 };
        f32::from_bits(magnitude.to_bits() | exponent | (bits & 0x8000) << 16)
    }
}

impl Element for bf16 {
    const FORBIDDEN: Self = bf16::NEG_INFINITY;

    #[inline(always)]
    fn load<V: Vector>(values: &[Self]) -> V {
        V::load_bf16(values)
    }
    #[inline(always)]
    fn load_half<V: Vector>(values: &[Self], i: usize) -> V {
        let pair = &values[i / 2 * 2 * V::LANES..];
        if i.is_multiple_of(2) { V::load_bf16_even(pair) } else { V::load_bf16_odd(pair) }
    }
    #[inline(always)]
    fn widened(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// What a kernel reads vectors from.
pub trait Reader: Copy {
    /// How many logits.
    fn len(self) -> usize;
    /// So many of them from a place on, a multiple of 4.
    fn part(self, from: usize, len: usize) -> Self;
    /// The whole vector from a place on, a multiple of `LANES`.
    fn vector<V: Vector>(self, from: usize) -> V;
    /// The i-th vector of whole pairs of them, where it does not matter which half of a pair's logits it holds.
    fn half<V: Vector>(self, i: usize) -> V;
    /// All of them, fewer than 16, then -inf.
    fn padded<V: Vector>(self) -> V;
    /// How many logits come before the first that begins a vector which lies within one cache line. A vector that
    /// straddles two is loaded at half the speed, and rows of NumPy's often begin 16 bytes into one. (In a row of less
    /// than `least` it does not matter.)
    fn head<V: Vector>(self, least: usize) -> usize;
    /// Whether all are known to be -inf.
    fn is_forbidden(self) -> bool;
}

impl<T: Element> Reader for &[T] {
    #[inline(always)]
    fn len(self) -> usize {
        <[T]>::len(self)
    }
    #[inline(always)]
    fn part(self, from: usize, len: usize) -> Self {
        &self[from..from + len]
    }
    #[inline(always)]
    fn vector<V: Vector>(self, from: usize) -> V {
        T::load(&self[from..from + V::LANES])
    }
    #[inline(always)]
    fn half<V: Vector>(self, i: usize) -> V {
        T::load_half(self, i)
    }
    #[inline(always)]
    fn padded<V: Vector>(self) -> V {
        let mut lanes = [T::FORBIDDEN; 16];
        lanes[..self.len()].copy_from_slice(self);
        T::load(&lanes)
    }
    #[inline(always)]
    fn head<V: Vector>(self, least: usize) -> usize {
        let head = if self.len() < least { 0 } else { self.as_ptr().align_offset(size_of::<T>() * V::LANES) };
        head.min(self.len())
    }
    #[inline(always)]
    fn is_forbidden(self) -> bool {
        false
    }
}

/// Logits under a mask. No vector straddles two of its words.
#[derive(Clone, Copy)]
pub struct Masked<'a, T> {
    logits: &'a [T],
    words: &'a [u32],
    /// The place of the first logit's bit in the first word.
    shift: usize,
}

impl<'a, T> Masked<'a, T> {
    #[inline(always)]
    pub fn new(logits: &'a [T], words: &'a [u32]) -> Self {
        Self { logits, words, shift: 0 }
    }

    /// The bits from a place on, as many as its word has.
    #[inline(always)]
    fn bits(self, place: usize) -> u32 {
        let place = self.shift + place;
        self.words[place / 32] >> (place % 32)
    }
}

impl<T: Element> Reader for Masked<'_, T> {
    #[inline(always)]
    fn len(self) -> usize {
        self.logits.len()
    }
    #[inline(always)]
    fn part(self, from: usize, len: usize) -> Self {
        let place = self.shift + from;
        let words = &self.words[place / 32..(place + len).div_ceil(32)];
        Self { logits: self.logits.part(from, len), words, shift: place % 32 }
    }
    #[inline(always)]
    fn vector<V: Vector>(self, from: usize) -> V {
        self.logits.vector::<V>(from).or_forbidden(self.bits(from))
    }
    #[inline(always)]
    fn half<V: Vector>(self, i: usize) -> V {
        self.vector(i * V::LANES)
    }
    #[inline(always)]
    fn padded<V: Vector>(self) -> V {
        if self.logits.is_empty() {
            V::splat(f32::NEG_INFINITY)
        } else {
            self.logits.padded::<V>().or_forbidden(self.bits(0))
        }
    }
    /// Bits are never shifted: that costs more than unaligned loads.
    #[inline(always)]
    fn head<V: Vector>(self, _least: usize) -> usize {
        0
    }
    #[inline(always)]
    fn is_forbidden(self) -> bool {
        self.words.iter().fold(0, |any, word| any | word) == 0
    }
}

/// An expression of a kernel over the reader of a source. (A macro and no closure: see `kernels`.)
macro_rules! read {
    ($source:expr, $reader:ident => $work:expr) => {{
        use $crate::simd::source::{Logits, Masked, Source};
        let Source { logits, allowed } = $source;
        match (logits, allowed) {
            (Logits::F32($reader), None) => $work,
            (Logits::F16($reader), None) => $work,
            (Logits::Bf16($reader), None) => $work,
            (Logits::F32(logits), Some(allowed)) => {
                let $reader = Masked::new(logits, allowed);
                $work
            }
            (Logits::F16(logits), Some(allowed)) => {
                let $reader = Masked::new(logits, allowed);
                $work
            }
            (Logits::Bf16(logits), Some(allowed)) => {
                let $reader = Masked::new(logits, allowed);
                $work
            }
        }
    }};
}
pub(super) use read;
