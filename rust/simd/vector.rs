//! What a kernel may ask of a vector of float32 lanes: IEEE operations, nothing approximate.

use half::{bf16, f16};

/// A vector of float32 lanes. Every method is inlined into a kernel that is compiled for the level.
pub trait Vector: Copy {
    /// How many logits one vector holds.
    const LANES: usize;

    /// Whether [`Self::times`] and [`Self::times_any_add`] take any n, -inf included, and underflow to 0.
    const SCALES_ANY: bool;

    /// A power of two per lane.
    type Power: Copy;

    /// An answer per lane.
    type Mask: Copy;

    /// A float64 accumulator per lane, for sums that a float32 cannot hold.
    type Wide: Copy;

    /// An int32 accumulator per lane, for the low parts of weights.
    type Lows: Copy;

    /// The same value in every lane.
    fn splat(value: f32) -> Self;
    /// The first `LANES` values.
    fn load(values: &[f32]) -> Self;
    /// The first `LANES` values, widened exactly.
    fn load_f16(values: &[f16]) -> Self;
    /// The first `LANES` values, widened exactly.
    fn load_bf16(values: &[bf16]) -> Self;
    /// Of the first 2 * `LANES` values those at even places, widened exactly.
    fn load_bf16_even(values: &[bf16]) -> Self;
    /// Those at odd places.
    fn load_bf16_odd(values: &[bf16]) -> Self;
    /// self in the lanes whose bit is set, lane 0 lowest; -inf in the others.
    fn or_forbidden(self, bits: u32) -> Self;
    /// Writes the lanes over the first `LANES` values.
    fn store(self, values: &mut [f32]);

    /// self + other.
    fn add(self, other: Self) -> Self;
    /// self + other in the lanes of the mask, self in the others.
    fn add_where(self, other: Self, mask: Self::Mask) -> Self;
    /// self - other.
    fn sub(self, other: Self) -> Self;
    /// self * other.
    fn mul(self, other: Self) -> Self;
    /// self * factor + addend, rounded once.
    fn fma(self, factor: Self, addend: Self) -> Self;
    /// The larger of the two; self where one is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller of the two; self where one is NaN.
    fn min(self, other: Self) -> Self;
    /// The smaller of the two, self in the lanes of the mask.
    fn min_unless(self, other: Self, mask: Self::Mask) -> Self;
    /// The nearest integer n, half to even, for values within +-2**22; and 2**n.
    fn rint(self) -> (Self, Self::Power);
    /// self * 2**n, exact, for n in [-100, 0] and self in [2**42, 2**44].
    fn times(self, power: Self::Power) -> Self;
    /// The nearest integer n for values in [-127, 128]; and 2**n for [`Self::times_any_add`].
    fn rint_any(self) -> (Self, Self::Power);
    /// self * 2**n + addend, rounded once or twice, for n in [-127, 128], where 2**-127 counts as 0 and 2**128 as
    /// infinite; NaN stays NaN.
    fn times_any_add(self, power: Self::Power, addend: Self) -> Self;
    /// self where y >= bound, else 0 (so 0 where y is NaN).
    fn or_zero_below(self, y: Self, bound: Self) -> Self;

    /// Lanes where one of the two is NaN.
    fn is_unordered(self, other: Self) -> Self::Mask;
    /// Lanes set in either.
    fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// No lane.
    fn none() -> Self::Mask;
    /// Whether a lane is set.
    fn any(mask: Self::Mask) -> bool;
    /// Lanes where self > other.
    fn is_above(self, other: Self) -> Self::Mask;
    /// One bit per lane of a mask, lane 0 lowest.
    fn bits(mask: Self::Mask) -> u32;
    /// One bit per lane, lane 0 lowest, set where self >= other.
    fn bits_at_least(self, other: Self) -> u32;

    /// Zero in every lane.
    fn wide_zero() -> Self::Wide;
    /// total + self, lane by lane: exact while the sums are multiples of a unit and below 2**53 of it.
    fn add_to_wide(self, total: Self::Wide) -> Self::Wide;
    /// The sum of the lanes, each an integer, modulo 2**64.
    fn wide_sum(total: Self::Wide) -> u64;

    /// The sum of the lanes, in any order.
    fn wide_sum_f64(total: Self::Wide) -> f64;

    /// Zero in every lane.
    fn lows_zero() -> Self::Lows;
    /// rint(self), half to even, for |self| <= 2**24.
    fn rounded(self) -> Self::Lows;
    /// total + lows.
    fn add_lows(total: Self::Lows, lows: Self::Lows) -> Self::Lows;
    /// total + lows in the lanes of the mask, total in the others.
    fn add_lows_where(total: Self::Lows, lows: Self::Lows, mask: Self::Mask) -> Self::Lows;
    /// total + lows, lane by lane.
    fn add_lows_to_wide(lows: Self::Lows, total: Self::Wide) -> Self::Wide;

    /// Writes the lanes whose bit is set one after another over the front of `values`, of at least
    /// `LANES` values; what lies behind them is unspecified.
    fn compress(self, bits: u32, values: &mut [f32]);
    /// Writes `base + lane` for each set bit, likewise.
    fn compress_positions(bits: u32, base: u32, ids: &mut [u32]);
    /// Of the `LANES` ids from `from` on, writes those of the set bits from `to` <= `from` on, likewise.
    fn compress_ids(bits: u32, ids: &mut [u32], from: usize, to: usize);
}

/// [`Vector::compress_ids`] where no instruction does it.
#[inline(always)]
pub fn compress_ids_by_steps<const LANES: usize>(bits: u32, ids: &mut [u32], from: usize, to: usize) {
    let mut at = to;
    for lane in 0..LANES {
        ids[at] = ids[from + lane]; // at <= from + lane: nothing is overwritten before it is read
        at += (bits >> lane & 1) as usize;
    }
}

/// [`Vector::compress_positions`] where no instruction does it: branchless, every lane is written and the
/// cursor moves past the wanted ones.
#[inline(always)]
pub fn compress_positions_by_steps<const LANES: usize>(bits: u32, base: u32, ids: &mut [u32]) {
    let ids = &mut ids[..LANES];
    let mut at = 0;
    for lane in 0..LANES {
        ids[at.min(LANES - 1)] = base + lane as u32;
        at += (bits >> lane & 1) as usize;
    }
}

/// [`Vector::compress`] where no instruction does it.
#[inline(always)]
pub fn compress_by_steps<const LANES: usize>(lanes: [f32; LANES], bits: u32, values: &mut [f32]) {
    let values = &mut values[..LANES];
    let mut at = 0;
    for (lane, value) in lanes.into_iter().enumerate() {
        values[at.min(LANES - 1)] = value;
        at += (bits >> lane & 1) as usize;
    }
}
