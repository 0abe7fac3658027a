//! The AVX2 level: 8 lanes.
//!
//! An intrinsic may run where the CPU has its instruction. Each reason below names the extension that it asks for. The
//! CPU has it: no module outside this folder can name this type, and in it `kernels!` alone does, which calls the kernels
//! for a [`Level`](super::Level), whose features were found. What touches memory is given a slice, which checks its length.

#[allow(clippy::wildcard_imports, reason = "every intrinsic has its prefix")]
use std::arch::x86_64::*;

use half::{bf16, f16};

use super::vector::Vector;

/// Eight float32 lanes.
#[derive(Clone, Copy)]
pub struct F32x8(__m256);

/// 1.5 * 2**23: adding it rounds a float32 within +-2**22 to an integer, half to even.
const ROUND: f32 = 12_582_912.0;

/// For each set of lanes their numbers, in order, a byte each from the lowest on.
const SET_LANES: [u64; 256] = {
    let mut table = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        let (mut lane, mut at) = (0, 0);
        while lane < 8 {
            if bits >> lane & 1 == 1 {
                table[bits] |= (lane as u64) << (8 * at);
                at += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    table
};

/// The numbers of the set lanes, in order, in the first lanes.
#[inline(always)]
fn set_lanes(bits: u32) -> __m256i {
    let bytes = SET_LANES[bits as usize & 255] as i64;
    // SAFETY: AVX2, and SSE2 for the load from a general register.
    unsafe { _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes)) }
}

#[inline(always)]
fn wide_lanes(total: (__m256d, __m256d)) -> [f64; 8] {
    let mut lanes = [0.0; 8];
    // SAFETY: AVX; four values of eight bytes are written to each half, of four.
    unsafe {
        _mm256_storeu_pd(lanes[..4].as_mut_ptr(), total.0);
        _mm256_storeu_pd(lanes[4..].as_mut_ptr(), total.1);
    }
    lanes
}

impl Vector for F32x8 {
    const LANES: usize = 8;
    const SCALES_ANY: bool = false;
    type Power = __m256i;
    type Mask = __m256;
    type Wide = (__m256d, __m256d);
    type Lows = __m256i;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_set1_ps(value) })
    }
    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        let values = &values[..8];
        // SAFETY: AVX; 8 values of four bytes are read, from a slice of 8.
        Self(unsafe { _mm256_loadu_ps(values.as_ptr()) })
    }
    #[inline(always)]
    fn load_f16(values: &[f16]) -> Self {
        let values = &values[..8];
        // SAFETY: F16C, and SSE2 for the load; 8 values of two bytes are read, from a slice of 8.
        Self(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(values.as_ptr().cast())) })
    }
    #[inline(always)]
    fn load_bf16(values: &[bf16]) -> Self {
        let values = &values[..8];
        // SAFETY: AVX2, and SSE2 for the load; 8 values of two bytes are read, from a slice of 8.
        unsafe {
            let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(values.as_ptr().cast()));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits)))
        }
    }
    #[inline(always)]
    fn load_bf16_even(values: &[bf16]) -> Self {
        let values = &values[..16];
        // SAFETY: AVX2; 16 values of two bytes are read, from a slice of 16.
        unsafe {
            let both = _mm256_loadu_si256(values.as_ptr().cast());
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(both)))
        }
    }
    #[inline(always)]
    fn load_bf16_odd(values: &[bf16]) -> Self {
        let values = &values[..16];
        // SAFETY: AVX2; 16 values of two bytes are read, from a slice of 16.
        unsafe {
            let both = _mm256_loadu_si256(values.as_ptr().cast());
            Self(_mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32(-1 << 16))))
        }
    }
    #[inline(always)]
    fn or_forbidden(self, bits: u32) -> Self {
        // SAFETY: AVX2.
        unsafe {
            let of_lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let own = _mm256_and_si256(_mm256_set1_epi32(bits as i32), of_lane);
            let allowed = _mm256_castsi256_ps(_mm256_cmpeq_epi32(own, of_lane));
            Self(_mm256_blendv_ps(_mm256_set1_ps(f32::NEG_INFINITY), self.0, allowed))
        }
    }
    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        let values = &mut values[..8];
        // SAFETY: AVX; 8 values of four bytes are written, to a slice of 8.
        unsafe { _mm256_storeu_ps(values.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn add_where(self, other: Self, mask: __m256) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_add_ps(self.0, _mm256_and_ps(other.0, mask)) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn fma(self, factor: Self, addend: Self) -> Self {
        // SAFETY: FMA.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_max_ps(other.0, self.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_min_ps(other.0, self.0) })
    }
    #[inline(always)]
    fn min_unless(self, other: Self, mask: __m256) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_blendv_ps(_mm256_min_ps(other.0, self.0), self.0, mask) })
    }
    #[inline(always)]
    fn rint(self) -> (Self, __m256i) {
        // The rounded sum holds n in its lowest bits, from where it is shifted into an exponent's place.
        // SAFETY: AVX2.
        unsafe {
            let magic = _mm256_set1_ps(ROUND);
            let rounded = _mm256_add_ps(self.0, magic);
            (Self(_mm256_sub_ps(rounded, magic)), _mm256_slli_epi32::<23>(_mm256_castps_si256(rounded)))
        }
    }
    #[inline(always)]
    fn times(self, power: __m256i) -> Self {
        // SAFETY: AVX2.
        Self(unsafe { _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self.0), power)) })
    }
    #[inline(always)]
    fn rint_any(self) -> (Self, __m256i) {
        // With the bias of an exponent in the sum, it is shifted into a power of two.
        // SAFETY: AVX2.
        unsafe {
            let magic = _mm256_set1_ps(ROUND + 127.0);
            let rounded = _mm256_add_ps(self.0, magic);
            (Self(_mm256_sub_ps(rounded, magic)), _mm256_slli_epi32::<23>(_mm256_castps_si256(rounded)))
        }
    }
    #[inline(always)]
    fn times_any_add(self, power: __m256i, addend: Self) -> Self {
        // Multiplied and not added to the exponent, where a NaN could become a number.
        // SAFETY: AVX.
        self.fma(Self(unsafe { _mm256_castsi256_ps(power) }), addend)
    }
    #[inline(always)]
    fn or_zero_below(self, y: Self, bound: Self) -> Self {
        // SAFETY: AVX.
        Self(unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(y.0, bound.0), self.0) })
    }
    #[inline(always)]
    fn is_unordered(self, other: Self) -> __m256 {
        // SAFETY: AVX.
        unsafe { _mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, other.0) }
    }
    #[inline(always)]
    fn or(a: __m256, b: __m256) -> __m256 {
        // SAFETY: AVX.
        unsafe { _mm256_or_ps(a, b) }
    }
    #[inline(always)]
    fn none() -> __m256 {
        // SAFETY: AVX.
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    fn any(mask: __m256) -> bool {
        // SAFETY: AVX.
        unsafe { _mm256_movemask_ps(mask) != 0 }
    }
    #[inline(always)]
    fn is_above(self, other: Self) -> __m256 {
        // SAFETY: AVX.
        unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn bits(mask: __m256) -> u32 {
        // SAFETY: AVX.
        unsafe { _mm256_movemask_ps(mask) as u32 }
    }
    #[inline(always)]
    fn bits_at_least(self, other: Self) -> u32 {
        // SAFETY: AVX.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self.0, other.0)) as u32 }
    }
    #[inline(always)]
    fn wide_zero() -> Self::Wide {
        // SAFETY: AVX.
        unsafe { (_mm256_setzero_pd(), _mm256_setzero_pd()) }
    }
    #[inline(always)]
    fn add_to_wide(self, total: Self::Wide) -> Self::Wide {
        // SAFETY: AVX.
        unsafe {
            let low = _mm256_cvtps_pd(_mm256_castps256_ps128(self.0));
            let high = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(self.0));
            (_mm256_add_pd(total.0, low), _mm256_add_pd(total.1, high))
        }
    }
    #[inline(always)]
    fn wide_sum(total: Self::Wide) -> u64 {
        wide_lanes(total).iter().fold(0, |sum, &lane| sum.wrapping_add(lane as i64 as u64))
    }
    #[inline(always)]
    fn wide_sum_f64(total: Self::Wide) -> f64 {
        wide_lanes(total).iter().sum()
    }
    #[inline(always)]
    fn lows_zero() -> __m256i {
        // SAFETY: AVX.
        unsafe { _mm256_setzero_si256() }
    }
    #[inline(always)]
    fn rounded(self) -> __m256i {
        // SAFETY: AVX.
        unsafe { _mm256_cvtps_epi32(self.0) }
    }
    #[inline(always)]
    fn add_lows(total: __m256i, lows: __m256i) -> __m256i {
        // SAFETY: AVX2.
        unsafe { _mm256_add_epi32(total, lows) }
    }
    #[inline(always)]
    fn add_lows_where(total: __m256i, lows: __m256i, mask: __m256) -> __m256i {
        // SAFETY: AVX2.
        unsafe { _mm256_add_epi32(total, _mm256_and_si256(lows, _mm256_castps_si256(mask))) }
    }
    #[inline(always)]
    fn add_lows_to_wide(lows: __m256i, total: Self::Wide) -> Self::Wide {
        // SAFETY: AVX2.
        unsafe {
            let low = _mm256_cvtepi32_pd(_mm256_castsi256_si128(lows));
            let high = _mm256_cvtepi32_pd(_mm256_extracti128_si256::<1>(lows));
            (_mm256_add_pd(total.0, low), _mm256_add_pd(total.1, high))
        }
    }
    #[inline(always)]
    fn compress(self, bits: u32, values: &mut [f32]) {
        // SAFETY: AVX2.
        Self(unsafe { _mm256_permutevar8x32_ps(self.0, set_lanes(bits)) }).store(values);
    }
    #[inline(always)]
    fn compress_positions(bits: u32, base: u32, ids: &mut [u32]) {
        let ids = &mut ids[..8];
        // SAFETY: AVX2; 8 values of four bytes are written, to a slice of 8.
        unsafe {
            let positions = _mm256_add_epi32(set_lanes(bits), _mm256_set1_epi32(base as i32));
            _mm256_storeu_si256(ids.as_mut_ptr().cast(), positions);
        }
    }
    #[inline(always)]
    fn compress_ids(bits: u32, ids: &mut [u32], from: usize, to: usize) {
        // SAFETY: AVX2; 8 values of four bytes are read and written, each time in a slice of 8.
        unsafe {
            let read = _mm256_loadu_si256(ids[from..from + 8].as_ptr().cast());
            let packed = _mm256_permutevar8x32_epi32(read, set_lanes(bits));
            _mm256_storeu_si256(ids[to..to + 8].as_mut_ptr().cast(), packed);
        }
    }
}
