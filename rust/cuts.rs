//! The cuts that look at the whole kept set: its entropy, its spread, its top choices. Each is linear in what
//! is kept. `rheostat.reference.cuts` says the same in NumPy.

use crate::entropy::{LogProbs, entropy, lane_sum, surprise};
use crate::law;

/// `top_h` looks at so many tokens.
pub const TOP_H_TOKENS: usize = 100;

/// What is kept so far, in id order: at least one token.
pub struct Found<'a> {
    /// The logits.
    pub xs: &'a [f32],
    /// Their ids.
    pub ids: &'a [u32],
    /// Their float weights.
    pub weights: &'a [f32],
    /// S, the sum of the integer weights.
    pub sum: u64,
    /// m, the largest logit.
    pub maximum: f32,
    /// The temperature applied so far.
    pub temperature: f64,
}

/// Buffers of a cut. What they hold between cuts is unspecified.
#[derive(Default)]
pub struct Buffers {
    /// Which tokens stay.
    pub mask: Vec<bool>,
    values: Vec<f64>,
    members: Vec<u32>,
}

impl Found<'_> {
    /// W of the token at a place.
    fn weight(&self, at: usize) -> u64 {
        law::integer_weight(self.weights[at])
    }

    /// The log-probabilities of the set.
    #[must_use]
    pub fn log_probs(&self) -> LogProbs {
        LogProbs::new(self.maximum, self.temperature, self.sum)
    }

    /// H = -sum (W/S) * l over W > 0, in nats.
    #[must_use]
    pub fn entropy(&self, log_probs: &LogProbs) -> f64 {
        entropy(log_probs, self.sum, self.xs, self.weights, self.ids)
    }

    /// Writes the mask: what `stays`, and the first token in the law's order.
    fn keep_or_first(&self, buffers: &mut Buffers, stays: impl Fn(usize) -> bool) {
        buffers.mask.clear();
        buffers.mask.extend((0..self.xs.len()).map(stays));
        if let Some(first) = self.xs.iter().position(|x| *x == self.maximum) {
            buffers.mask[first] = true;
        }
    }
}

/// Locally typical: by deviation |l + H| ascending the shortest prefix with sum(W) >= ceil(p * S), and all that
/// deviate as much as its last. (Meister et al. 2023) It can drop the maximum.
pub fn typical(found: &Found<'_>, p: f64, buffers: &mut Buffers) {
    let Buffers { mask, values, members } = buffers;
    let log_probs = found.log_probs();
    let entropy = found.entropy(&log_probs);
    values.clear();
    values.extend(found.xs.iter().map(|x| (log_probs.of(*x) + entropy).abs()));
    let last = reach(values, |at| found.weight(at), law::share(p, found.sum), members);
    mask.clear();
    mask.extend(values.iter().map(|deviation| *deviation <= last));
}

/// l >= min(ln eps, 0.5 * ln eps - H), or the first token. (Hewitt, Manning and Liang 2022)
pub fn eta(found: &Found<'_>, epsilon: f64, buffers: &mut Buffers) {
    let log_probs = found.log_probs();
    let log_epsilon = law::ln(epsilon);
    let bound = log_epsilon.min(0.5 * log_epsilon - found.entropy(&log_probs));
    found.keep_or_first(buffers, |at| log_probs.of(found.xs[at]) >= bound);
}

/// How many of at most 100 tokens stay: in the law's order while the running sum of -p ln p is at most `share`
/// of the whole, and the first. (Baghaei Potraghloo et al. 2025)
#[must_use]
pub fn top_h(found: &Found<'_>, share: f64, buffers: &mut Buffers) -> usize {
    let Buffers { values: running, members: order, .. } = buffers;
    order.clear();
    order.extend(0..found.xs.len() as u32);
    order.sort_unstable_by(|&a, &b| law::order((found.xs[a as usize], a), (found.xs[b as usize], b)));
    let log_probs = found.log_probs();
    let mut sum = 0.0;
    running.clear();
    running.extend(order.iter().map(|&at| {
        let at = at as usize;
        sum += surprise(found.weight(at), found.sum, log_probs.of(found.xs[at]));
        sum
    }));
    running.iter().take_while(|value| **value <= share * sum).count().max(1)
}

/// The lowest logit with x >= m - n * sigma, sigma the population standard deviation of the logits, all in
/// float64. (Tang et al. 2025) A temperature scales x, m and sigma alike, so it moves nothing.
#[must_use]
pub fn top_n_sigma(xs: &[f32], ids: &[u32], maximum: f32, n: f64) -> f32 {
    let count = xs.len() as f64;
    let mean = lane_sum(ids, |at| xs[at].into()) / count;
    let square = |at: usize| {
        let deviation = f64::from(xs[at]) - mean;
        deviation * deviation
    };
    let sigma = (lane_sum(ids, square) / count).sqrt();
    let bound = f64::from(maximum) - n * sigma;
    let nearest = bound as f32;
    let least = if f64::from(nearest) < bound { nearest.next_up() } else { nearest };
    least.max(f32::MIN)
}

/// Exclude top choices: of the tokens with W >= ceil(threshold * S), if two or more, drop all but the last in
/// the law's order. (p-e-w, text-generation-webui 2024)
pub fn xtc(found: &Found<'_>, threshold: f64, buffers: &mut Buffers) {
    let least = law::share(threshold, found.sum);
    let Buffers { mask, .. } = buffers;
    mask.clear();
    mask.extend((0..found.xs.len()).map(|at| found.weight(at) < least));
    let mut last: Option<usize> = None;
    for (at, stays) in mask.iter().enumerate() {
        if !stays && last.is_none_or(|last| found.xs[at] <= found.xs[last]) {
            last = Some(at);
        }
    }
    if let Some(last) = last {
        mask[last] = true;
    }
}

/// So few values are sorted.
const FEW: usize = 48;

/// Bins of one step of `reach`.
const BINS: usize = 1 << 11;

/// Where the digits of a float64 begin, from the highest.
const SHIFTS: [u32; 6] = [53, 42, 31, 20, 9, 0];

/// The least of the values, none of them negative, such that all up to it weigh at least `target`: by digits of
/// its bits, which stand in the order of the values. `members` is a buffer.
fn reach(values: &[f64], weigh: impl Fn(usize) -> u64, target: u64, members: &mut Vec<u32>) -> f64 {
    let mut target = target;
    members.clear();
    members.extend(0..values.len() as u32);
    for shift in SHIFTS {
        if members.len() <= FEW {
            break;
        }
        let digit = |at: u32| (values[at as usize].to_bits() >> shift) as usize & (BINS - 1);
        let mut bins = [0_u64; BINS];
        for &at in members.iter() {
            bins[digit(at)] += weigh(at as usize);
        }
        let mut found = 0;
        while found + 1 < BINS && bins[found] < target {
            target -= bins[found];
            found += 1;
        }
        members.retain(|&at| digit(at) == found);
    }
    members.sort_unstable_by(|&a, &b| values[a as usize].total_cmp(&values[b as usize]));
    let reaches = |&&at: &&u32| {
        let weight = weigh(at as usize);
        let enough = weight >= target;
        target = target.saturating_sub(weight);
        enough
    };
    members.iter().find(reaches).map_or(f64::INFINITY, |&at| values[at as usize])
}
