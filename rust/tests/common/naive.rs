//! The naive twin: the law as its page says it, one token at a time, with a sort. Slow and obvious.

#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::approx_constant, clippy::neg_cmp_op_on_partial_ord)] // the law's own numbers and words

use rheostat::{Error, Knobs, Step};

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
    let c = (1.442_695_040_888_963_4 / temperature) as f32;
    let y = (x - m) * c;
    if !(y >= -100.0) {
        return 0.0;
    }
    let n = y.round_ties_even();
    let f = y - n;
    let p = [0.001_326_465_3_f32, 0.009_671_511, 0.055_507_34, 0.240_222_42, 0.693_147, 1.0];
    let q = p[1..].iter().fold(p[0], |q, c| fma(q, f, *c));
    q * 2.0_f32.powi(n as i32)
}

pub fn integer_weight(x: f32, m: f32, temperature: f64) -> u64 {
    (f64::from(weight(x, m, temperature)) * 2.0_f64.powi(43)).round_ties_even() as u64
}

pub fn maximum(xs: &[f32]) -> f32 {
    xs.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The maximum, or why the row is none: the first token that is NaN or +inf, or that no logit is finite.
pub fn check(row: &[f32]) -> Result<f32, Error> {
    if let Some(token) = row.iter().position(|x| x.is_nan() || *x == f32::INFINITY) {
        return Err(Error::Logit { row: 0, token, value: f64::from(row[token]) });
    }
    Some(maximum(row)).filter(|m| *m > f32::NEG_INFINITY).ok_or(Error::NoFiniteLogit { row: 0 })
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

/// The law's logarithm.
pub fn ln(z: f64) -> f64 {
    let (mut b, mut e) = (z, 0);
    while b < 0.707_106_781_186_547_6 {
        (b, e) = (b * 2.0, e - 1);
    }
    while b >= 1.414_213_562_373_095_1 {
        (b, e) = (b / 2.0, e + 1);
    }
    let s = (b - 1.0) / (b + 1.0);
    let a = (1..=23).rev().step_by(2).fold(0.0, |a, k| a * (s * s) + 1.0 / f64::from(k));
    f64::from(e) * 0.693_147_180_559_945_3 + 2.0 * s * a
}

/// One value per id, added in 16 lanes, and these in order.
pub fn lane_sum(ids: &[usize], value: impl Fn(usize) -> f64) -> f64 {
    let lane = |lane: usize| ids.iter().filter(|id| *id % 16 == lane).fold(0.0, |sum, id| sum + value(*id));
    (0..16).fold(0.0, |sum, at| sum + lane(at))
}

/// The shortest prefix of the order that weighs ceil(p * the sum).
fn prefix(order: &[usize], weight: impl Fn(usize) -> u64, p: f64) -> Vec<usize> {
    let target = share(p, order.iter().map(|id| weight(*id)).sum());
    let (mut size, mut sum) = (0, 0);
    while sum < target {
        sum += weight(order[size]);
        size += 1;
    }
    order[..size].to_vec()
}

/// The kept ids, ascending, and the temperature they are drawn at.
pub fn keep(row: &[f32], knobs: &Knobs, chain: &[Step]) -> (Vec<usize>, f64) {
    let mut ids: Vec<usize> = (0..row.len()).filter(|&id| row[id] > f32::NEG_INFINITY).collect();
    let mut temperature = 1.0;
    for step in chain.iter().filter(|step| step.is_set(knobs)) {
        let m = ids.iter().map(|&id| row[id]).fold(f32::NEG_INFINITY, f32::max);
        let weight = |id: usize| integer_weight(row[id], m, temperature);
        let mut order = ids.clone();
        order.sort_by(|&a, &b| row[b].partial_cmp(&row[a]).expect("no NaN").then(a.cmp(&b)));
        let s: u64 = ids.iter().map(|&id| weight(id)).sum();
        let log_p_of = |id: usize, s: u64| {
            (f64::from(row[id]) - f64::from(m)) / temperature - ln(s as f64 / 2.0_f64.powi(43))
        };
        let log_p = |id: usize| log_p_of(id, s);
        let term = |id: usize, s: u64| {
            if weight(id) == 0 { 0.0 } else { weight(id) as f64 / s as f64 * log_p_of(id, s) }
        };
        let entropy = || -lane_sum(&ids, |id| term(id, s));
        match step {
            Step::Temperature if knobs.temperature == 0.0 => ids = vec![order[0]],
            Step::Temperature => temperature = knobs.temperature,
            Step::TopK => ids = order.into_iter().take(knobs.top_k).collect(),
            Step::TopP => ids = prefix(&order, weight, knobs.top_p),
            Step::MinP => ids.retain(|&id| weight(id) >= share(knobs.min_p, 1 << 43)),
            Step::TypicalP => {
                let h = entropy();
                let deviation = |id: usize| (log_p(id) + h).abs();
                let mut typical = ids.clone();
                typical.sort_by(|&a, &b| deviation(a).total_cmp(&deviation(b)).then(a.cmp(&b)));
                let last = *prefix(&typical, weight, knobs.typical_p).last().expect("a share above 0");
                ids.retain(|&id| deviation(id) <= deviation(last));
            }
            Step::EpsilonCutoff => {
                let least = share(knobs.epsilon_cutoff, s);
                ids.retain(|&id| id == order[0] || weight(id) >= least);
            }
            Step::EtaCutoff => {
                let log_epsilon = ln(knobs.eta_cutoff);
                let bound = f64::min(log_epsilon, 0.5 * log_epsilon - entropy());
                ids.retain(|&id| id == order[0] || log_p(id) >= bound);
            }
            Step::TopH => {
                order.truncate(100);
                let s: u64 = order.iter().map(|&id| weight(id)).sum();
                let running = |size: usize| order[..size].iter().fold(0.0, |sum, &id| sum - term(id, s));
                let total = running(order.len());
                let within = |size: &usize| running(*size) <= knobs.top_h * total;
                let size = (1..=order.len()).take_while(within).count().max(1);
                ids = order[..size].to_vec();
            }
            Step::TopNSigma => {
                let mean = lane_sum(&ids, |id| f64::from(row[id])) / ids.len() as f64;
                let square = |id: usize| (f64::from(row[id]) - mean) * (f64::from(row[id]) - mean);
                let sigma = (lane_sum(&ids, square) / ids.len() as f64).sqrt();
                let bound = f64::from(m) - knobs.top_n_sigma * sigma;
                ids.retain(|&id| f64::from(row[id]) >= bound);
            }
            Step::Xtc => {
                let least = share(knobs.xtc_threshold, s);
                let likely: Vec<usize> = order.into_iter().filter(|&id| weight(id) >= least).collect();
                ids.retain(|id| !likely.contains(id) || likely.last() == Some(id));
            }
        }
        ids.sort_unstable();
    }
    (ids, temperature)
}

/// softmax and `log_softmax` at a temperature above 0.
pub fn softmax(row: &[f32], temperature: f64) -> (Vec<f32>, Vec<f32>) {
    let m = maximum(row);
    let z = row.iter().map(|x| integer_weight(*x, m, temperature)).sum::<u64>() as f64;
    let unit = 2.0_f64.powi(43);
    let log_p = |x: f32| ((f64::from(x) - f64::from(m)) / temperature - ln(z / unit)) as f32;
    (
        row.iter().map(|x| weight(*x, m, temperature) * (unit / z) as f32).collect(),
        row.iter().map(|x| log_p(*x)).collect(),
    )
}

/// 1 + the token's place by logit, then by id.
pub fn rank(row: &[f32], id: usize) -> usize {
    let is_before = |other: usize| row[other] > row[id] || (row[other] == row[id] && other < id);
    1 + (0..row.len()).filter(|other| is_before(*other)).count()
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
