//! The levels without intrinsics: four lanes that the compiler may put into whatever the target has. With
//! `FMA` it uses the CPU's own fma, which is part of the target: on aarch64 that makes it the NEON level.
//! Without, it has its own exact one and is the scalar level, the same everywhere.

use half::{bf16, f16};

use super::source::Element;
use super::vector::{Vector, compress_by_steps, compress_ids_by_steps, compress_positions_by_steps};

/// Four float32 lanes.
#[derive(Clone, Copy)]
pub struct F32x4<const FMA: bool>([f32; 4]);

/// 1.5 * 2**23: adding and subtracting it rounds a float32 within +-2**22 to an integer, half to even.
const ROUND_F32: f32 = 12_582_912.0;
/// 1.5 * 2**52: the same for a float64 within +-2**51.
const ROUND_F64: f64 = 6_755_399_441_055_744.0;

/// a * b + c, rounded once, where the target has no fma (there `mul_add` calls a libm that is slow and on some
/// systems wrong).
///
/// The product of two float32 is exact in float64; the sum is made odd where it is inexact (Knuth's
/// two-sum tells), so that the second rounding gives what a single one would have (Boldo and
/// Melquiond 2008).
#[inline(always)]
fn exact_fma(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let addend = f64::from(c);
    let total = product + addend;
    let other = total - product;
    let error = (product - (total - other)) + (addend - other);
    let bits = total.to_bits();
    let inexact_and_even = error.abs() > 0.0 && bits & 1 == 0; // where a term is infinite, error is NaN
    let away = (error > 0.0) == (total > 0.0);
    let odd = if away { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
    f64::from_bits(if inexact_and_even { odd } else { bits }) as f32
}

impl<const FMA: bool> F32x4<FMA> {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn bits(self, other: Self, f: impl Fn(f32, f32) -> bool) -> u32 {
        (0..4).fold(0, |bits, i| bits | u32::from(f(self.0[i], other.0[i])) << i)
    }
}

impl<const FMA: bool> Vector for F32x4<FMA> {
    const LANES: usize = 4;
    const SCALES_ANY: bool = false;
    type Power = [u32; 4];
    type Mask = u32;
    type Wide = [f64; 4];
    type Lows = [i32; 4];

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        Self([values[0], values[1], values[2], values[3]])
    }
    #[inline(always)]
    fn load_f16(values: &[f16]) -> Self {
        Self([values[0], values[1], values[2], values[3]].map(f16::widened))
    }
    #[inline(always)]
    fn load_bf16(values: &[bf16]) -> Self {
        Self([values[0], values[1], values[2], values[3]].map(bf16::widened))
    }
    #[inline(always)]
    fn load_bf16_even(values: &[bf16]) -> Self {
        Self([values[0], values[2], values[4], values[6]].map(bf16::widened))
    }
    #[inline(always)]
    fn load_bf16_odd(values: &[bf16]) -> Self {
        Self([values[1], values[3], values[5], values[7]].map(bf16::widened))
    }
    #[inline(always)]
    fn or_forbidden(self, bits: u32) -> Self {
        Self(std::array::from_fn(|i| if bits >> i & 1 == 1 { self.0[i] } else { f32::NEG_INFINITY }))
    }
    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        values[..4].copy_from_slice(&self.0);
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn add_where(self, other: Self, mask: u32) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + if mask >> i & 1 == 1 { other.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn fma(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|i| {
            let (a, b, c) = (self.0[i], factor.0[i], addend.0[i]);
            if FMA { a.mul_add(b, c) } else { exact_fma(a, b, c) }
        }))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if b > a { b } else { a })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if b < a { b } else { a })
    }
    #[inline(always)]
    fn min_unless(self, other: Self, mask: u32) -> Self {
        let smaller = self.min(other);
        Self(std::array::from_fn(|i| if mask >> i & 1 == 1 { self.0[i] } else { smaller.0[i] }))
    }
    #[inline(always)]
    fn rint(self) -> (Self, [u32; 4]) {
        // The rounded sum holds n in its lowest bits, from where it is shifted into an exponent's place.
        let rounded = self.0.map(|x| x + ROUND_F32);
        (Self(rounded.map(|x| x - ROUND_F32)), rounded.map(|x| x.to_bits() << 23))
    }
    #[inline(always)]
    fn times(self, power: [u32; 4]) -> Self {
        Self(std::array::from_fn(|i| f32::from_bits(self.0[i].to_bits().wrapping_add(power[i]))))
    }
    #[inline(always)]
    fn rint_any(self) -> (Self, [u32; 4]) {
        let (n, power) = self.rint();
        (n, power.map(|power| power.wrapping_add(127 << 23)))
    }
    #[inline(always)]
    fn times_any_add(self, power: [u32; 4], addend: Self) -> Self {
        // Multiplied and not added to the exponent, where a NaN could become a number.
        self.zip(Self(power.map(f32::from_bits)), |q, power| q * power).add(addend)
    }
    #[inline(always)]
    fn or_zero_below(self, y: Self, bound: Self) -> Self {
        Self(std::array::from_fn(|i| if y.0[i] >= bound.0[i] { self.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    fn is_unordered(self, other: Self) -> u32 {
        self.bits(other, |a, b| a.is_nan() || b.is_nan())
    }
    #[inline(always)]
    fn or(a: u32, b: u32) -> u32 {
        a | b
    }
    #[inline(always)]
    fn none() -> u32 {
        0
    }
    #[inline(always)]
    fn any(mask: u32) -> bool {
        mask != 0
    }
    #[inline(always)]
    fn is_above(self, other: Self) -> u32 {
        self.bits(other, |a, b| a > b)
    }
    #[inline(always)]
    fn bits(mask: u32) -> u32 {
        mask
    }
    #[inline(always)]
    fn bits_at_least(self, other: Self) -> u32 {
        self.bits(other, |a, b| a >= b)
    }
    #[inline(always)]
    fn wide_zero() -> [f64; 4] {
        [0.0; 4]
    }
    #[inline(always)]
    fn add_to_wide(self, total: [f64; 4]) -> [f64; 4] {
        std::array::from_fn(|i| total[i] + f64::from(self.0[i]))
    }
    #[inline(always)]
    fn wide_sum(total: [f64; 4]) -> u64 {
        total.iter().fold(0, |sum, &lane| sum.wrapping_add(lane as i64 as u64))
    }
    #[inline(always)]
    fn wide_sum_f64(total: [f64; 4]) -> f64 {
        total.iter().sum()
    }
    #[inline(always)]
    fn lows_zero() -> [i32; 4] {
        [0; 4]
    }
    #[inline(always)]
    fn rounded(self) -> [i32; 4] {
        // In float64, where the trick reaches beyond 2**24.
        self.0.map(|x| ((f64::from(x) + ROUND_F64) - ROUND_F64) as i32)
    }
    #[inline(always)]
    fn add_lows(total: [i32; 4], lows: [i32; 4]) -> [i32; 4] {
        std::array::from_fn(|i| total[i] + lows[i])
    }
    #[inline(always)]
    fn add_lows_where(total: [i32; 4], lows: [i32; 4], mask: u32) -> [i32; 4] {
        std::array::from_fn(|i| total[i] + if mask >> i & 1 == 1 { lows[i] } else { 0 })
    }
    #[inline(always)]
    fn add_lows_to_wide(lows: [i32; 4], total: [f64; 4]) -> [f64; 4] {
        std::array::from_fn(|i| total[i] + f64::from(lows[i]))
    }
    #[inline(always)]
    fn compress(self, bits: u32, values: &mut [f32]) {
        compress_by_steps(self.0, bits, values);
    }
    #[inline(always)]
    fn compress_positions(bits: u32, base: u32, ids: &mut [u32]) {
        compress_positions_by_steps::<4>(bits, base, ids);
    }
    #[inline(always)]
    fn compress_ids(bits: u32, ids: &mut [u32], from: usize, to: usize) {
        compress_ids_by_steps::<4>(bits, ids, from, to);
    }
}
