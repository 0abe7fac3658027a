//! A row, its masks, biases and penalties, a chain of all filters in some order, draws.

use std::collections::BTreeMap;

use rheostat::adjust::{Adjustment, Shaped};
use rheostat::chain::{self, Kept};
use rheostat::dry::Dry;
use rheostat::history::History;
use rheostat::knobs::PRESETS;
use rheostat::masks::Masks;
use rheostat::penalties::Penalties;
use rheostat::scratch::Scratch;
use rheostat::simd::{Level, Logits};
use rheostat::{Error, Knobs, Step};

use crate::random::Random;
use crate::{adjust, naive};

/// Ids of histories and lists: few, so that they meet.
const FEW: usize = 6;

/// Short rows of every nasty kind: the twin takes time that grows faster than they do.
fn row(random: &mut Random) -> Vec<f32> {
    let longest = random.pick(&[2, 9, 17, 40, 40, 300]);
    let n = 1 + random.below(longest);
    let kind = random.below(8);
    let value = random.between(-1000.0, 1000.0);
    let mut row: Vec<f32> = (0..n)
        .map(|_| match kind {
            0 => random.below(16) as f32 * 0.25 - 2.0,
            1 => random.between(-1e38, 1e38) as f32,
            2 => f32::from_bits(random.below(1000) as u32),
            3 => random.pick(&[0.0, -0.0]),
            4 => value as f32,
            5 if !random.once_in(3) => f32::NEG_INFINITY,
            _ => random.between(-20.0, 20.0) as f32,
        })
        .collect();
    if random.once_in(4) {
        row[random.below(n)] = 25.0;
    }
    if random.once_in(30) {
        row[random.below(n)] = random.pick(&[f32::NAN, f32::INFINITY, 3e38, f32::NEG_INFINITY]);
    }
    row
}

/// Mostly off, so that a few meet.
fn share(random: &mut Random, off: f64) -> f64 {
    match random.below(8) {
        0 => random.between(0.0, 1.0).max(1e-9),
        1 => random.between(0.9, 1.0),
        2 => random.pick(&[1e-9, 0.5, 0.999_999, 1.0]),
        _ => off,
    }
}

pub fn knobs(random: &mut Random) -> Knobs {
    let temperatures = [0.0, 0.3, 0.7, 1.0, 1.0, 1.5, 2.0, 100.0, 1e-3, 1e-30, 1e30];
    Knobs {
        temperature: if random.once_in(3) { random.between(0.1, 3.0) } else { random.pick(&temperatures) },
        top_k: if random.once_in(3) { 1 + random.below(50) } else { 0 },
        top_p: share(random, 1.0),
        min_p: share(random, 0.0),
        typical_p: share(random, 1.0),
        epsilon_cutoff: share(random, 0.0).min(0.999),
        eta_cutoff: share(random, 0.0).min(0.999),
        top_h: share(random, 0.0),
        top_n_sigma: if random.once_in(4) { random.between(0.01, 5.0) } else { 0.0 },
        xtc_threshold: share(random, 0.1),
        xtc_probability: f64::from(u8::from(random.once_in(3))),
    }
}

/// A preset with what it does not name after it, or every step in any order.
pub fn steps(random: &mut Random) -> Vec<Step> {
    if random.once_in(2) {
        let named = PRESETS[random.below(PRESETS.len())].1;
        let after = Step::AFTER.into_iter().filter(|step| !named.contains(step));
        return named.iter().copied().chain(after).collect();
    }
    let mut steps = Step::ALL.to_vec();
    for last in (1..steps.len()).rev() {
        steps.swap(last, random.below(last + 1));
    }
    steps
}

fn ids(random: &mut Random, most: usize) -> Vec<u32> {
    random.some(most, |random| random.below(FEW) as u32)
}

fn masks(random: &mut Random) -> Masks {
    Masks {
        vocab_size: random.maybe(8, |random| 1 + random.below(12)),
        allowed_token_ids: random.maybe(8, |random| random.some(8, |r| r.below(100) as u32).into()),
        bitmask: random.maybe(5, |random| {
            let word = |random: &mut Random| {
                if random.once_in(2) { random.word() as i32 } else { random.pick(&[0, -1]) }
            };
            random.some(5, word).into()
        }),
        banned_token_ids: random.maybe(6, |random| ids(random, 4).into()),
        bad_words: random.maybe(6, |random| {
            random
                .some(4, |random| ids(random, 4))
                .into_iter()
                .filter(|w| !w.is_empty())
                .map(Into::into)
                .collect()
        }),
        no_repeat_ngram_size: if random.once_in(5) { random.below(4) } else { 0 },
        min_tokens: if random.once_in(5) { random.below(8) } else { 0 },
        eos_token_id: random.maybe(4, |random| ids(random, 3).into()),
        stop_token_ids: random.maybe(4, |random| ids(random, 3).into()),
    }
}

fn bias(random: &mut Random) -> f64 {
    if random.once_in(20) { random.pick(&[f64::NEG_INFINITY, 3e38]) } else { random.between(-5.0, 5.0) }
}

fn penalties(random: &mut Random) -> Penalties {
    let mut sequences: Vec<(Vec<u32>, f64)> = random
        .some(4, |random| (ids(random, 4), bias(random)))
        .into_iter()
        .filter(|s| !s.0.is_empty())
        .collect();
    sequences.sort_by_key(|(sequence, _)| sequence.len());
    let moves = |random: &mut Random| if random.once_in(4) { random.between(-2.0, 2.0) } else { 0.0 };
    Penalties {
        logit_bias: random.maybe(5, |random| {
            let biases = random.some(4, |random| (random.below(FEW) as u32, bias(random)));
            biases.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect() // an id once
        }),
        sequence_bias: random
            .maybe(5, |_| sequences.into_iter().map(|(ids, bias)| (ids.into(), bias)).collect()),
        repetition_penalty: if random.once_in(4) { random.between(0.5, 2.0) } else { 1.0 },
        frequency_penalty: moves(random),
        presence_penalty: moves(random),
        penalty_last_n: random.maybe(3, |random| random.below(20)),
        dry: Dry {
            multiplier: if random.once_in(4) { random.between(0.1, 3.0) } else { 0.0 },
            base: random.between(1.0, 3.0),
            allowed_length: random.below(4),
            last_n: random.maybe(3, |random| random.below(30)),
            sequence_breakers: random.maybe(4, |random| ids(random, 2).into()),
        },
    }
}

pub fn check(mut random: Random, number: u64) -> Result<(), String> {
    let random = &mut random;
    let (row, knobs, steps) = (row(random), knobs(random), steps(random));
    let shaped = random.once_in(2);
    let masks = if shaped { masks(random) } else { Masks::default() };
    let penalties = if shaped { penalties(random) } else { Penalties::default() };
    let history = History::new(&ids(random, 20), &ids(random, 20));
    let us = [random.word(), random.pick(&[0, u64::MAX])];
    let levels: Vec<Level> = Level::available().collect();
    let level = levels[number as usize % levels.len()];
    level.make_current();
    let told = |what: String| {
        format!(
            "{what}\nlevel = {}\nrow = {row:?}\n{knobs:?}\nsteps = {steps:?}\nus = {us:?}\n{masks:?}\n{penalties:?}\n\
             {history:?}",
            level.name()
        )
    };

    let expected = adjust::adjusted(&masks, &penalties, &history, &row);
    let adjustment = Adjustment::new(masks.clone(), penalties.clone(), history.clone());
    let mut shaped = Shaped::default();
    let standing = adjustment.apply(Logits::F32(&row), 3, &mut shaped);
    let found = standing.as_ref().map_err(Error::clone).and_then(|standing| {
        standing.row().check().map_err(|error| error.in_row(3))?;
        Ok(standing.row().logits().to_vec())
    });
    if format!("{found:?}") != format!("{expected:?}") {
        return Err(told(format!("adjusted to {found:?}, not {expected:?}")));
    }
    let (Ok(standing), Ok(row)) = (standing, found) else { return Ok(()) };

    let (wanted, temperature) = naive::keep(&row, &knobs, &steps);
    let mut scratch = Scratch::default();
    let scale = chain::first_scale(steps.iter().copied(), &knobs);
    let mut kept = match Kept::read(standing.row(), scale, &mut scratch) {
        Ok(kept) => kept,
        Err(error) => return Err(told(format!("refused: {error}"))),
    };
    for step in &steps {
        kept.take(*step, &knobs);
    }
    let ids: Vec<usize> = kept.tokens().map(|(id, _)| id).collect();
    if ids != wanted {
        return Err(told(format!("kept {ids:?}, not {wanted:?}")));
    }
    for u in us {
        let (token, expected) = (kept.draw(u), naive::draw(&row, &wanted, temperature, u));
        if token != expected {
            return Err(told(format!("drew {token}, not {expected}, with u = {u}")));
        }
    }
    Ok(())
}
