//! The AVX-512 level: 16 lanes.
//!
//! An intrinsic may run where the CPU has its instruction. Each reason below names the extension that it asks for. The
//! CPU has it: no module outside this folder can name this type, and in it `kernels!` alone does, which calls the kernels
//! for a [`Level`](super::Level), whose features were found. What touches memory is given a slice, which checks its length.

#[allow(clippy::wildcard_imports, reason = "every intrinsic has its prefix")]
use std::arch::x86_64::*;

use half::{bf16, f16};

use super::vector::Vector;

/// Sixteen float32 lanes.
#[derive(Clone, Copy)]
pub struct F32x16(__m512);

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

impl Vector for F32x16 {
    const LANES: usize = 16;
    const SCALES_ANY: bool = true;
    type Power = Self;
    type Mask = __mmask16;
    type Wide = (__m512d, __m512d);
    type Lows = __m512i;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_set1_ps(value) })
    }
    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        let values = &values[..16];
        // SAFETY: AVX-512F; 16 values of four bytes are read, from a slice of 16.
        Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
    }
    #[inline(always)]
    fn load_f16(values: &[f16]) -> Self {
        let values = &values[..16];
        // SAFETY: AVX for the load, AVX-512F; 16 values of two bytes are read, from a slice of 16.
        Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(values.as_ptr().cast())) })
    }
    #[inline(always)]
    fn load_bf16(values: &[bf16]) -> Self {
        let values = &values[..16];
        // SAFETY: AVX for the load, AVX-512F; 16 values of two bytes are read, from a slice of 16.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(values.as_ptr().cast()));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits)))
        }
    }
    #[inline(always)]
    fn load_bf16_even(values: &[bf16]) -> Self {
        let values = &values[..32];
        // SAFETY: AVX-512F; 32 values of two bytes are read, from a slice of 32.
        unsafe {
            let both = _mm512_loadu_si512(values.as_ptr().cast());
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(both)))
        }
    }
    #[inline(always)]
    fn load_bf16_odd(values: &[bf16]) -> Self {
        let values = &values[..32];
        // SAFETY: AVX-512F; 32 values of two bytes are read, from a slice of 32.
        unsafe {
            let both = _mm512_loadu_si512(values.as_ptr().cast());
            Self(_mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(-1 << 16))))
        }
    }
    #[inline(always)]
    fn or_forbidden(self, bits: u32) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_mask_mov_ps(_mm512_set1_ps(f32::NEG_INFINITY), bits as __mmask16, self.0) })
    }
    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        let values = &mut values[..16];
        // SAFETY: AVX-512F; 16 values of four bytes are written, to a slice of 16.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn add_where(self, other: Self, mask: __mmask16) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_mask_add_ps(self.0, mask, self.0, other.0) })
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }
    #[inline(always)]
    fn fma(self, factor: Self, addend: Self) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_max_ps(other.0, self.0) })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_min_ps(other.0, self.0) })
    }
    #[inline(always)]
    fn min_unless(self, other: Self, mask: __mmask16) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_mask_min_ps(self.0, !mask, other.0, self.0) })
    }
    #[inline(always)]
    fn rint(self) -> (Self, Self) {
        // SAFETY: AVX-512F.
        let n = Self(unsafe { _mm512_roundscale_ps::<NEAREST>(self.0) });
        (n, n)
    }
    #[inline(always)]
    fn times(self, power: Self) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_scalef_ps(self.0, power.0) })
    }
    #[inline(always)]
    fn rint_any(self) -> (Self, Self) {
        self.rint()
    }
    #[inline(always)]
    fn times_any_add(self, power: Self, addend: Self) -> Self {
        addend.add(self.times(power))
    }
    #[inline(always)]
    fn or_zero_below(self, y: Self, bound: Self) -> Self {
        // SAFETY: AVX-512F.
        Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(y.0, bound.0), self.0) })
    }
    #[inline(always)]
    fn is_unordered(self, other: Self) -> __mmask16 {
        // SAFETY: AVX-512F.
        unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, other.0) }
    }
    #[inline(always)]
    fn or(a: __mmask16, b: __mmask16) -> __mmask16 {
        a | b
    }
    #[inline(always)]
    fn none() -> __mmask16 {
        0
    }
    #[inline(always)]
    fn any(mask: __mmask16) -> bool {
        mask != 0
    }
    #[inline(always)]
    fn is_above(self, other: Self) -> __mmask16 {
        // SAFETY: AVX-512F.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0) }
    }
    #[inline(always)]
    fn bits(mask: __mmask16) -> u32 {
        u32::from(mask)
    }
    #[inline(always)]
    fn bits_at_least(self, other: Self) -> u32 {
        // SAFETY: AVX-512F.
        u32::from(unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, other.0) })
    }
    #[inline(always)]
    fn wide_zero() -> Self::Wide {
        // SAFETY: AVX-512F.
        unsafe { (_mm512_setzero_pd(), _mm512_setzero_pd()) }
    }
    #[inline(always)]
    fn add_to_wide(self, total: Self::Wide) -> Self::Wide {
        // SAFETY: AVX-512F, and DQ for the upper half.
        unsafe {
            let low = _mm512_cvtps_pd(_mm512_castps512_ps256(self.0));
            let high = _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(self.0));
            (_mm512_add_pd(total.0, low), _mm512_add_pd(total.1, high))
        }
    }
    #[inline(always)]
    fn wide_sum(total: Self::Wide) -> u64 {
        // SAFETY: AVX-512F, and DQ for the conversion.
        unsafe {
            let low = _mm512_cvtpd_epi64(total.0);
            let high = _mm512_cvtpd_epi64(total.1);
            _mm512_reduce_add_epi64(_mm512_add_epi64(low, high)) as u64
        }
    }
    #[inline(always)]
    fn wide_sum_f64(total: Self::Wide) -> f64 {
        // SAFETY: AVX-512F.
        unsafe { _mm512_reduce_add_pd(_mm512_add_pd(total.0, total.1)) }
    }
    #[inline(always)]
    fn lows_zero() -> __m512i {
        // SAFETY: AVX-512F.
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    fn rounded(self) -> __m512i {
        // SAFETY: AVX-512F.
        unsafe { _mm512_cvt_roundps_epi32::<NEAREST>(self.0) }
    }
    #[inline(always)]
    fn add_lows(total: __m512i, lows: __m512i) -> __m512i {
        // SAFETY: AVX-512F.
        unsafe { _mm512_add_epi32(total, lows) }
    }
    #[inline(always)]
    fn add_lows_where(total: __m512i, lows: __m512i, mask: __mmask16) -> __m512i {
        // SAFETY: AVX-512F.
        unsafe { _mm512_mask_add_epi32(total, mask, total, lows) }
    }
    #[inline(always)]
    fn add_lows_to_wide(lows: __m512i, total: Self::Wide) -> Self::Wide {
        // SAFETY: AVX-512F, and DQ for the upper half.
        unsafe {
            let low = _mm512_cvtepi32_pd(_mm512_castsi512_si256(lows));
            let high = _mm512_cvtepi32_pd(_mm512_extracti32x8_epi32::<1>(lows));
            (_mm512_add_pd(total.0, low), _mm512_add_pd(total.1, high))
        }
    }
    #[inline(always)]
    fn compress(self, bits: u32, values: &mut [f32]) {
        // Compressed in a register and stored whole: the instruction that compresses to memory is many
        // times slower on some CPUs.
        let values = &mut values[..16];
        // SAFETY: AVX-512F; at most 16 values of four bytes are written, to a slice of 16. SSE for the short store.
        unsafe {
            let packed = _mm512_maskz_compress_ps(bits as __mmask16, self.0);
            // Mostly few are set, and a short store seldom straddles a line.
            if bits.count_ones() <= 4 {
                _mm_storeu_ps(values.as_mut_ptr(), _mm512_castps512_ps128(packed));
            } else {
                _mm512_storeu_ps(values.as_mut_ptr(), packed);
            }
        }
    }
    #[inline(always)]
    fn compress_positions(bits: u32, base: u32, ids: &mut [u32]) {
        let ids = &mut ids[..16];
        // SAFETY: AVX-512F; at most 16 values of four bytes are written, to a slice of 16. SSE2 for the short store.
        unsafe {
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let positions = _mm512_add_epi32(lanes, _mm512_set1_epi32(base as i32));
            let packed = _mm512_maskz_compress_epi32(bits as __mmask16, positions);
            if bits.count_ones() <= 4 {
                _mm_storeu_si128(ids.as_mut_ptr().cast(), _mm512_castsi512_si128(packed));
            } else {
                _mm512_storeu_si512(ids.as_mut_ptr().cast(), packed);
            }
        }
    }
    #[inline(always)]
    fn compress_ids(bits: u32, ids: &mut [u32], from: usize, to: usize) {
        // SAFETY: AVX-512F; 16 values of four bytes are read and written, each time in a slice of 16.
        unsafe {
            let read = _mm512_loadu_si512(ids[from..from + 16].as_ptr().cast());
            let packed = _mm512_maskz_compress_epi32(bits as __mmask16, read);
            _mm512_storeu_si512(ids[to..to + 16].as_mut_ptr().cast(), packed);
        }
    }
}
