//! The naive twin: the law as its page says it, one token at a time, with a sort. Slow and obvious.

#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::approx_constant, clippy::neg_cmp_op_on_partial_ord)] // the law's own numbers and words

use rheostat::{Knobs, Step};

/// a * b + c, rounded once: the product is exact in float64, the sum is rounded to odd before the cast.
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let sum = product + f64::from(c);
    let back = sum - product;
    let error = (product - (sum - back)) + (f64::from(c) - back);
    if error == 0.0 || sum.to_bits() & 1 == 1 {
        return sum as f32;
    }
    let towards = if error > 0.0 { sum.next_up() } else { sum.next_down() };
    towards as f32
}

pub fn weight(x: f32, m: f32, temperature: f64) -> f32 {
    let c = (1.4426950408889634 / temperature) as f32;
    let y = (x - m) * c;
    if !(y >= -100.0) {
        return 0.0;
    }
    let n = y.round_ties_even();
    let f = y - n;
    let p = [0.0013264653_f32, 0.009671511, 0.05550734, 0.24022242, 0.693147, 1.0];
    let q = p[1..].iter().fold(p[0], |q, c| fma(q, f, *c));
    q * 2.0_f32.powi(n as i32)
}

pub fn integer_weight(x: f32, m: f32, temperature: f64) -> u64 {
    (f64::from(weight(x, m, temperature)) * 2.0_f64.powi(43)).round_ties_even() as u64
}

pub fn maximum(xs: &[f32]) -> f32 {
    xs.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// ceil(p * s) for a p that is a whole number of 2**-127.
pub fn share(p: f64, s: u64) -> u64 {
    let (mut mantissa, mut shift) = (p, 0);
    while mantissa.fract() != 0.0 {
        mantissa *= 2.0;
        shift += 1;
    }
    (mantissa as u128 * u128::from(s)).div_ceil(1 << shift) as u64
}

/// The kept ids, ascending, and the temperature they are drawn at.
pub fn keep(row: &[f32], knobs: &Knobs, chain: &[Step]) -> (Vec<usize>, f64) {
    let mut ids: Vec<usize> = (0..row.len()).filter(|&id| row[id] > f32::NEG_INFINITY).collect();
    let mut temperature = 1.0;
    for step in chain {
        let m = ids.iter().map(|&id| row[id]).fold(f32::NEG_INFINITY, f32::max);
        let weight = |id: usize| integer_weight(row[id], m, temperature);
        let mut order = ids.clone();
        order.sort_by(|&a, &b| row[b].partial_cmp(&row[a]).expect("no NaN").then(a.cmp(&b)));
        match step {
            Step::Temperature if knobs.temperature == 0.0 => ids = vec![order[0]],
            Step::Temperature => temperature = knobs.temperature,
            Step::TopK if knobs.top_k == 0 => {}
            Step::TopK => ids = order.into_iter().take(knobs.top_k).collect(),
            Step::TopP if knobs.top_p == 1.0 => {}
            Step::TopP => {
                let s: u64 = ids.iter().map(|&id| weight(id)).sum();
                let target = share(knobs.top_p, s);
                let (mut size, mut sum) = (0, 0);
                while sum < target {
                    sum += weight(order[size]);
                    size += 1;
                }
                ids = order.into_iter().take(size).collect();
            }
            Step::MinP => ids.retain(|&id| weight(id) >= share(knobs.min_p, 1 << 43)),
        }
        ids.sort_unstable();
    }
    (ids, temperature)
}

/// The drawn token.
pub fn draw(row: &[f32], ids: &[usize], temperature: f64, u: u64) -> usize {
    let m = ids.iter().map(|&id| row[id]).fold(f32::NEG_INFINITY, f32::max);
    let weight = |id: usize| integer_weight(row[id], m, temperature);
    let s: u64 = ids.iter().map(|&id| weight(id)).sum();
    let r = ((u128::from(u) * u128::from(s)) >> 64) as u64;
    let mut cumulative = 0;
    for &id in ids {
        cumulative += weight(id);
        if cumulative > r {
            return id;
        }
    }
    unreachable!("r is below the sum")
}
