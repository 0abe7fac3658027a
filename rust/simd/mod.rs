//! The passes over a row, each written once over a small trait, `vector::Vector`, and compiled at every SIMD level.
//!
//! The level is found once: the best that the CPU has, capped by the environment variable
//! `RHEOSTAT_SIMD` (`scalar`, `avx2`, `avx512` or `neon`). Every level gives the same bits: the kernels
//! use IEEE operations alone, and sums are taken where they are exact. With `python/dlpack.rs` this
//! folder is the only place where `unsafe` may appear.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cells;
mod environment;
mod kernels;
mod scalar;
mod source;
mod vector;

use std::sync::atomic::{AtomicU8, Ordering};

pub use cells::Cells;
pub use environment::StandardFloats;
pub use kernels::{Maximum, ROUGH_ERROR, SUMMED, Surveyed};
pub use source::{Logits, Source};

use crate::Error;

/// A set of CPU instructions that the kernels are compiled for. A value exists only for what this CPU
/// can run, which is what makes the kernels safe to call.
///
/// ```
/// use rheostat::law;
/// use rheostat::simd::Level;
/// use rheostat::softmax::softmax;
///
/// let best = Level::current();
/// let row: Vec<f32> = (0..100).map(|i| (i as f32).sin()).collect();
/// let maximum = law::check_row(&row)?;
/// let mut results = Level::available().map(|level| {
///     level.make_current();
///     let mut out = [0.0; 100];
///     softmax(&row, maximum, 0.8, &mut out);
///     out.map(f32::to_bits)
/// });
/// let simplest = results.next();
/// assert!(results.all(|result| Some(result) == simplest)); // at every level the same bits
/// best.make_current();
///
/// assert_eq!(Level::from_name("scalar"), Level::available().next());
/// assert_eq!(Level::from_name("abacus"), None);
/// # Ok::<(), rheostat::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Set {
    /// No instruction beyond the target's baseline, and an own exact fma.
    Scalar = 1,
    /// x86-64 with AVX2, FMA, F16C, and the POPCNT and BMI1 that come with them: 8 lanes.
    Avx2 = 2,
    /// x86-64 with AVX-512 F and DQ: 16 lanes.
    Avx512 = 3,
    /// aarch64, whose baseline has NEON and an fma: 4 lanes.
    Neon = 4,
}

/// The simplest first.
const SETS: [Set; 4] = [Set::Scalar, Set::Avx2, Set::Avx512, Set::Neon];

/// The level in use, 0 before it is found.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Level {
    /// The levels that this CPU can run, the simplest first.
    pub fn available() -> impl DoubleEndedIterator<Item = Self> {
        SETS.into_iter().filter(|set| set.is_available()).map(Self)
    }

    /// The level of that name, if this CPU can run it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::available().find(|level| level.name() == name)
    }

    /// The name that `RHEOSTAT_SIMD` takes and `build_info()` shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The level in use.
    #[must_use]
    pub fn current() -> Self {
        match CURRENT.load(Ordering::Relaxed) {
            1 => Self(Set::Scalar),
            2 => Self(Set::Avx2),
            3 => Self(Set::Avx512),
            4 => Self(Set::Neon),
            _ => Self::from_environment().unwrap_or_else(|_| Self::best(Set::Neon)),
        }
    }

    /// Uses this level from now on.
    pub fn make_current(self) {
        CURRENT.store(self.0 as u8, Ordering::Relaxed);
    }

    /// Uses the best level from now on that this CPU can run, up to the one that `RHEOSTAT_SIMD` names.
    ///
    /// # Errors
    /// [`Error::UnknownLevel`] where the variable names none.
    pub fn from_environment() -> Result<Self, Error> {
        let cap = match std::env::var("RHEOSTAT_SIMD") {
            Err(std::env::VarError::NotPresent) => Set::Neon,
            Ok(name) if name.is_empty() => Set::Neon,
            name => {
                let name = name.unwrap_or_else(|_| "bytes that are no text".to_owned());
                SETS.into_iter().find(|set| set.name() == name).ok_or(Error::UnknownLevel { name })?
            }
        };
        Ok(Self::best(cap))
    }

    /// Uses the best available level up to the cap.
    fn best(cap: Set) -> Self {
        let best = Self::available().rfind(|level| level.0 <= cap).unwrap_or(Self(Set::Scalar));
        best.make_current();
        best
    }
}

impl Set {
    fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
                    && is_x86_feature_detected!("popcnt")
                    && is_x86_feature_detected!("bmi1")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

/// A kernel of `kernels` as a safe function that takes the level first.
macro_rules! kernels {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        $(#[$doc])*
        pub fn $name(level: Level, $($arg: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c,popcnt,bmi1")]
                fn on_avx2($($arg: $type),*) $(-> $result)? {
                    kernels::$name::<avx2::F32x8>($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512dq,avx2,fma,f16c,popcnt,bmi1")]
                fn on_avx512($($arg: $type),*) $(-> $result)? {
                    kernels::$name::<avx512::F32x16>($($arg),*)
                }
                match level.0 {
                    Set::Scalar | Set::Neon => {}
                    // SAFETY: a `Level` exists only where `is_available` has found its features.
                    Set::Avx2 => return unsafe { on_avx2($($arg),*) },
                    // SAFETY: as above; the features are those of this level.
                    Set::Avx512 => return unsafe { on_avx512($($arg),*) },
                }
            }
            #[cfg(target_arch = "aarch64")]
            if level.0 == Set::Neon {
                return kernels::$name::<scalar::F32x4<true>>($($arg),*);
            }
            let _ = level;
            kernels::$name::<scalar::F32x4<false>>($($arg),*)
        }
    )*};
}

kernels! {
    /// The row's largest logit, and whether the row holds a NaN.
    fn maximum(row: &[f32]) -> Maximum;
    /// The same of a row where it stands.
    fn maximum_of(source: Source<'_>) -> Maximum;
    /// The same; and writes the largest logits of the cells of [`survey`] into `cells`.
    fn peaks(source: Source<'_>, cells: &mut Vec<f32>) -> Maximum;
    /// Writes what the logits from a place on read as into `out`, as many as it has room for. The place is a multiple
    /// of 16, or of the source's mask there is none.
    fn store_source(source: Source<'_>, from: usize, out: &mut [f32]);
    /// sum(W) over the row: exact.
    fn sum_weights(row: &[f32], maximum: f32, scale: f32) -> u64;
    /// Writes sum(W) over each block of [`SUMMED`] logits: exact.
    fn sum_blocks(row: &[f32], maximum: f32, scale: f32, sums: &mut Vec<u64>);
    /// Writes the float weights v = w * 2**43 into `out`, of the row's length.
    fn store_weights(row: &[f32], maximum: f32, scale: f32, out: &mut [f32]);
    /// Writes the float weights v = w * 2**43 into `out`, of the row's length, and gives sum(W).
    fn store_and_sum_weights(row: &[f32], maximum: f32, scale: f32, out: &mut [f32]) -> u64;
    /// Appends the logits within the closed bounds and their positions from `base` on, in order.
    fn gather_between(row: &[f32], bounds: (f32, f32), base: usize, xs: &mut Vec<f32>, ids: &mut Vec<u32>);
    /// The same from a row where it stands, with `base` 0.
    fn gather_from_source(source: Source<'_>, bounds: (f32, f32), xs: &mut Vec<f32>, ids: &mut Vec<u32>);
    /// Puts the logits of at least `low`, above -inf, into `xs` and their positions into `ids`, in order, in place of
    /// what is there: for many.
    fn list_at_least(row: &[f32], low: f32, xs: &mut Vec<f32>, ids: &mut Vec<u32>);
    /// Appends the positions of the logits within the closed bounds, in order.
    fn positions_between(xs: &[f32], bounds: (f32, f32), positions: &mut Vec<u32>);
    /// Appends the logits that are marked, one bit each, 32 in a word, and their positions, in order.
    fn gather_marked(row: &[f32], marks: &[u32], xs: &mut Vec<f32>, ids: &mut Vec<u32>);
    /// The same where the row stands.
    fn gather_allowed(logits: Logits<'_>, words: &[u32], xs: &mut Vec<f32>, ids: &mut Vec<u32>);
    /// How many bits are set.
    fn count_bits(words: &[u32]) -> usize;
    /// Writes the sums of the rough weights 2**(x * scale + shift) over cells of 16 logits into `cells`, and gives
    /// the sum and the largest of those: no finite sum where there is a NaN or +inf. What a cell's logits are is
    /// the level's.
    fn survey(source: Source<'_>, scale: f32, shift: f32, cells: &mut Vec<f32>) -> Surveyed;
    /// Adds to the cells the rough weights of logits that a survey has read as -inf; gives what it would have found.
    fn add_to_cells(
        source: Source<'_>,
        changes: &[(u32, f32)],
        scale: f32,
        shift: f32,
        cells: &mut [f32],
        found: Surveyed
    ) -> Surveyed;
    /// Writes the rough weights into `out`, of the row's length.
    fn store_rough_weights(row: &[f32], scale: f32, shift: f32, out: &mut [f32]);
    /// Their sum, in float64.
    fn sum_rough_weights(row: &[f32], scale: f32, shift: f32) -> f64;
    /// The sum of the values, in float64.
    fn sum_wide(values: &[f32]) -> f64;
    /// The block in which the running sum of cells exceeds `mass`, as a range of logits, and the sum before it.
    fn block_at_mass(source: Source<'_>, cells: &[f32], mass: f64) -> (std::ops::Range<usize>, f64);
    /// The largest logit in blocks that have a cell of at least `hot`.
    fn maximum_from_cells(source: Source<'_>, cells: &[f32], hot: f32) -> f32;
    /// Appends the logits of at least `bounds.1` in blocks that have a cell of at least `bounds.0`, and their
    /// positions, in order.
    fn gather_from_cells(
        source: Source<'_>,
        cells: &[f32],
        bounds: (f32, f32),
        xs: &mut Vec<f32>,
        ids: &mut Vec<u32>
    );
    /// Of the cells of at least `hot`: their sum, rounded, and how many there are.
    fn sum_hot(cells: &[f32], hot: f32) -> (f32, usize);
    /// sum(W) over the row; writes sum(W) over the logits above the closed band for each [`SUMMED`] of them, and
    /// a bit for each logit inside the band, 32 in a word: exact.
    fn sum_above_and_mark(
        row: &[f32],
        maximum: f32,
        scale: f32,
        band: (f32, f32),
        sums: &mut Vec<u64>,
        marks: &mut Vec<u32>
    ) -> u64;
    /// sum(W) over the logits above the bound, whose float weights are given: exact.
    fn sum_above(xs: &[f32], weights: &[f32], bound: f32) -> u64;
    /// How many logits are below the bound.
    fn count_below(row: &[f32], bound: f32) -> usize;
    /// The sum of the weights of the logits below the bound, rounded, and the least of the other logits.
    fn sum_below(xs: &[f32], weights: &[f32], bound: f32) -> (f32, f32);
    /// The sum of their squares, rounded; of whole vectors alone.
    fn sum_squares_below(xs: &[f32], weights: &[f32], bound: f32) -> f32;
    /// Keeps the logits at or above `cut`, and their ids, in order.
    fn retain_at_least(cut: f32, xs: &mut Vec<f32>, ids: &mut Vec<u32>);
    /// Writes `(x - maximum) / temperature - ln_z`, in float64 and rounded once, into `out`.
    fn store_log_probs(row: &[f32], maximum: f32, temperature: f64, ln_z: f64, out: &mut [f32]);
    /// Writes (W / S) * l, l = (x - m) / T - ln(S / 2**43), for every token of float weight v, 0 where W is 0, into
    /// `out`; m, T and the logarithm are the `scores`.
    fn store_parts(xs: &[f32], weights: &[f32], scores: (f64, f64, f64), sum: f64, out: &mut [f64]);
    /// Multiplies every value by `factor`.
    fn multiply(values: &mut [f32], factor: f32);
}
