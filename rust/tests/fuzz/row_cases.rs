//! Rows for the target `rows`: mostly short, about a lane or a block long, at times beyond what a filter pays for.

use rheostat::nucleus::LONG;

use crate::random::Random;
use crate::standing::Case;

/// float32, float16, bfloat16: the largest number, and the least above 0.
const LIMITS: [(f64, f64); 3] = [(1e38, 1e-45), (65_504.0, 6e-8), (1e38, 9.2e-41)];

fn length(random: &mut Random) -> usize {
    match random.below(300) {
        0..2 => 1 + random.below(6000),
        2 => random.pick(&[
            LONG - 1,
            LONG,
            LONG + 1,
            LONG + 16,
            2 * LONG - 1,
            2 * LONG,
            2 * LONG + 1,
            3 * LONG + 5,
        ]),
        3..6 => random.pick(&[511, 512, 513, 1023, 1024, 1025]),
        6..12 => 1 + random.below(300),
        12..20 => random.pick(&[127, 128, 129, 255, 256, 257, 272]),
        20..120 => random.pick(&[1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65]),
        _ => 1 + random.below(72),
    }
}

/// Logits of every nasty kind, within what the type can hold.
fn logits(random: &mut Random, length: usize, (largest, least): (f64, f64)) -> Vec<f32> {
    let kind = random.below(10);
    let (value, spread) = (random.between(-1000.0, 1000.0), random.pick(&[0.1, 1.0, 4.0, 20.0]));
    let mut row: Vec<f32> = (0..length)
        .map(|_| match kind {
            0 => random.below(16) as f32 * 0.25 - 2.0,
            1 => random.between(-largest, largest) as f32,
            2 => (random.below(1000) as f64 * least) as f32,
            3 => random.pick(&[0.0, -0.0]),
            4 => value as f32,
            5 if !random.once_in(3) => f32::NEG_INFINITY,
            6 => (random.between(-spread, spread) + random.between(-spread, spread) + value) as f32,
            _ => random.between(-spread, spread) as f32,
        })
        .collect();
    for _ in 0..random.pick(&[0, 0, 1, 3]) {
        row[random.below(length)] = random.between(5.0, 30.0) as f32;
    }
    if random.once_in(30) {
        row[random.below(length)] =
            random.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, largest as f32]);
    }
    row
}

/// A bit for each token: of every density, with whole words of one kind, and seldom for none.
fn words(random: &mut Random, length: usize) -> Vec<u32> {
    let density = random.below(5);
    let mut words: Vec<u32> = (0..length.div_ceil(32))
        .map(|_| match density {
            0 if random.once_in(20) => 1 << random.below(32),
            0 => 0,
            1 => random.pick(&[0, !0]),
            3 if random.once_in(2) => random.pick(&[0, !0]),
            2 | 3 => random.word() as u32,
            _ if random.once_in(20) => random.word() as u32,
            _ => !0,
        })
        .collect();
    if !random.once_in(50) {
        let token = random.below(length);
        words[token / 32] |= 1 << (token % 32);
    }
    if !length.is_multiple_of(32) {
        words[length / 32] &= (1 << (length % 32)) - 1;
    }
    words
}

/// A few logits by id, none at -inf.
fn changes(random: &mut Random, length: usize) -> Vec<(u32, f32)> {
    let most = random.pick(&[0, 2, 5, 40]);
    let mut ids: Vec<u32> = (0..most).map(|_| random.below(length) as u32).collect();
    ids.sort_unstable();
    ids.dedup();
    let logit = |random: &mut Random| {
        if random.once_in(20) {
            random.pick(&[0.0, -0.0, 3e38, -3e38, 1e-40])
        } else {
            random.between(-12.0, 12.0) as f32
        }
    };
    ids.into_iter().map(|id| (id, logit(random))).collect()
}

pub fn case(random: &mut Random) -> Case {
    let (kind, length) = (random.below(3), length(random));
    let wide = logits(random, length, LIMITS[kind]);
    let words = random.maybe(2, |random| words(random, length));
    let changes = if words.is_some() { changes(random, length) } else { vec![] };
    let mut case = Case { kind, wide, words, changes };
    case.spoil(random.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.0]));
    case
}
