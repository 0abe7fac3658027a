//! Passes that write a row of results.

use super::parts::{padded, store_part};
use crate::simd::vector::Vector;

#[inline(always)]
pub fn multiply<V: Vector>(values: &mut [f32], factor: f32) {
    let factor = V::splat(factor);
    let whole = values.len() / V::LANES * V::LANES;
    let (values, rest) = values.split_at_mut(whole);
    for chunk in values.chunks_exact_mut(V::LANES) {
        V::load(chunk).mul(factor).store(chunk);
    }
    if !rest.is_empty() {
        let product = padded::<V>(rest).mul(factor);
        store_part(product, rest);
    }
}

/// Plain float64 arithmetic, which the compiler vectorises for the level; Rust never contracts it.
#[inline(always)]
pub fn store_log_probs<V: Vector>(row: &[f32], maximum: f32, temperature: f64, ln_z: f64, out: &mut [f32]) {
    for (x, out) in row.iter().zip(out) {
        *out = ((f64::from(*x) - f64::from(maximum)) / temperature - ln_z) as f32;
    }
}

/// One word of the mask at a time, bit i % 32 of word i // 32 for token i; most words forbid or allow all.
/// The selection is plain integer arithmetic, which the compiler vectorises for the level.
#[inline(always)]
pub fn store_masked<V: Vector>(row: &[f32], words: &[i32], out: &mut [f32]) {
    let (row, rest) = row.as_chunks::<32>();
    let (out, out_rest) = out.as_chunks_mut::<32>();
    let (of_whole, of_rest) = words.split_at(words.len().min(row.len()));
    for ((xs, out), word) in row.iter().zip(out.iter_mut()).zip(of_whole) {
        match *word {
            0 => *out = [f32::NEG_INFINITY; 32],
            -1 => *out = *xs,
            word => store_word(xs, word as u32, out),
        }
    }
    for out in &mut out[of_whole.len()..] {
        *out = [f32::NEG_INFINITY; 32];
    }
    let mut padded = [f32::NEG_INFINITY; 32];
    padded[..rest.len()].copy_from_slice(rest);
    let mut selected = [f32::NEG_INFINITY; 32];
    store_word(&padded, of_rest.first().map_or(0, |word| *word as u32), &mut selected);
    out_rest.copy_from_slice(&selected[..rest.len()]);
}

#[inline(always)]
fn store_word(xs: &[f32; 32], word: u32, out: &mut [f32; 32]) {
    const FORBIDDEN: u32 = f32::NEG_INFINITY.to_bits();
    for bit in 0..32 {
        let keep = 0_u32.wrapping_sub(word >> bit & 1);
        out[bit] = f32::from_bits(xs[bit].to_bits() & keep | FORBIDDEN & !keep);
    }
}
