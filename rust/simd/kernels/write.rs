//! Passes that write a row of results.

use super::parts::{align, padded, store_part};
use crate::simd::source::{Reader, Source, read};
use crate::simd::vector::Vector;

#[inline(always)]
pub fn multiply<V: Vector>(values: &mut [f32], factor: f32) {
    let (head, values) = values.split_at_mut(align::<V>(values).0.len());
    let (whole, rest) = values.split_at_mut(values.len() / V::LANES * V::LANES);
    for chunk in whole.chunks_exact_mut(V::LANES) {
        V::load(chunk).mul(V::splat(factor)).store(chunk);
    }
    for part in [head, rest] {
        if !part.is_empty() {
            let product = padded::<V>(part).mul(V::splat(factor));
            store_part(product, part);
        }
    }
}

/// Plain float64 arithmetic, which the compiler vectorises for the level; Rust never contracts it.
#[inline(always)]
pub fn store_log_probs<V: Vector>(row: &[f32], maximum: f32, temperature: f64, ln_z: f64, out: &mut [f32]) {
    // By a power of two a product is the quotient, bit for bit, and takes a third of the time.
    let is_power_of_two = temperature.to_bits() << 12 == 0;
    let (inverse, m) = (1.0 / temperature, f64::from(maximum));
    if is_power_of_two {
        for (x, out) in row.iter().zip(out) {
            *out = ((f64::from(*x) - m) * inverse - ln_z) as f32;
        }
    } else {
        for (x, out) in row.iter().zip(out) {
            *out = ((f64::from(*x) - m) / temperature - ln_z) as f32;
        }
    }
}

#[inline(always)]
pub fn store_source<V: Vector>(source: Source<'_>, from: usize, out: &mut [f32]) {
    read!(source, reader => store_reader::<V, _>(reader.part(from, out.len()), out));
}

#[inline(always)]
fn store_reader<V: Vector, R: Reader>(reader: R, out: &mut [f32]) {
    let whole = reader.len() / V::LANES * V::LANES;
    let (out, out_rest) = out.split_at_mut(whole);
    for (i, out) in out.chunks_exact_mut(V::LANES).enumerate() {
        reader.vector::<V>(i * V::LANES).store(out);
    }
    store_part(reader.part(whole, reader.len() - whole).padded::<V>(), out_rest);
}
