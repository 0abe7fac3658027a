//! The naive twin of masks, biases and penalties: the sentences of the documentation, one token after another.

#![allow(dead_code)] // each test binary uses its part

use std::collections::HashMap;

use rheostat::history::{History, window};
use rheostat::masks::{Ids, Masks};
use rheostat::penalties::Penalties;
use rheostat::{Error, law};

/// Whether a token may come, and by which masks not, from the sentences of the documentation.
fn forbidden_by(masks: &Masks, history: &History, token: usize) -> Vec<&'static str> {
    let id = token as u32;
    let is_in = |list: &Option<Ids>| list.as_ref().is_some_and(|list| list.contains(&id));
    let after: Vec<u32> = [history.all(), &[id]].concat();
    let n = masks.no_repeat_ngram_size;
    let last = if n > 0 && after.len() >= n { Some(&after[after.len() - n..]) } else { None };
    let bit = |words: &[i32]| words.get(token / 32).is_some_and(|word| word & (1 << (token % 32)) != 0);
    let is_early = history.output().len() < masks.min_tokens;
    [
        ("vocab_size", masks.vocab_size.is_some_and(|size| token >= size)),
        ("allowed_token_ids", masks.allowed_token_ids.is_some() && !is_in(&masks.allowed_token_ids)),
        ("bitmask", masks.bitmask.as_ref().is_some_and(|words| !bit(words))),
        ("banned_token_ids", is_in(&masks.banned_token_ids)),
        ("bad_words", masks.bad_words.iter().flat_map(|words| words.iter()).any(|w| after.ends_with(w))),
        ("no_repeat_ngram_size", last.is_some_and(|last| history.all().windows(n).any(|gram| gram == last))),
        ("min_tokens", is_early && (is_in(&masks.eos_token_id) || is_in(&masks.stop_token_ids))),
    ]
    .into_iter()
    .filter_map(|(name, forbids)| forbids.then_some(name))
    .collect()
}

const ORDER: [&str; 7] = [
    "vocab_size",
    "allowed_token_ids",
    "bitmask",
    "banned_token_ids",
    "bad_words",
    "no_repeat_ngram_size",
    "min_tokens",
];

/// The tokens left and the names of the masks that took some.
pub fn left(masks: &Masks, history: &History, width: usize) -> (Vec<bool>, Vec<&'static str>) {
    let mut by: Vec<Vec<&str>> = (0..width).map(|token| forbidden_by(masks, history, token)).collect();
    if masks.bitmask.is_some() && by.iter().all(|names| !names.is_empty()) {
        for names in &mut by {
            names.retain(|name| *name != "min_tokens");
        }
    }
    let names = ORDER.into_iter().filter(|name| by.iter().any(|names| names.contains(name))).collect();
    (by.iter().map(Vec::is_empty).collect(), names)
}

/// The length of the longest repetition that each token would continue, comparing every place.
fn continued(ids: &[u32], breakers: &[u32]) -> HashMap<u32, usize> {
    let mut longest = HashMap::new();
    for place in (1..ids.len()).filter(|place| !breakers.contains(&ids[*place])) {
        let pairs = ids[..place].iter().rev().zip(ids.iter().rev());
        let length = pairs.take_while(|(a, b)| a == b && !breakers.contains(a)).count();
        let known = longest.entry(ids[place]).or_insert(0);
        *known = length.max(*known);
    }
    longest
}

/// One step of the penalties on one token that is finite.
fn step(penalties: &Penalties, history: &History, at: usize, id: u32, x: f32) -> f32 {
    let repeated = window(history.all(), penalties.penalty_last_n);
    match at {
        0 => {
            let mut bias = penalties.logit_bias.iter().flat_map(|biases| biases.iter());
            bias.find(|(of, _)| *of == id).map_or(x, |(_, bias)| x + *bias as f32)
        }
        1 => {
            let after = [history.all(), &[id]].concat();
            let biases = penalties.sequence_bias.iter().flat_map(|biases| biases.iter());
            let biases: Vec<f32> =
                biases.filter(|(ids, _)| after.ends_with(ids)).map(|(_, bias)| *bias as f32).collect();
            if biases.is_empty() { x } else { x + biases.iter().fold(0.0, |sum, bias| sum + bias) }
        }
        2 if !repeated.contains(&id) || penalties.repetition_penalty == 1.0 => x,
        2 => {
            let r = penalties.repetition_penalty as f32;
            if x > 0.0 { x / r } else { x * r }
        }
        3 => {
            let counted = if penalties.penalty_last_n.is_some() { repeated } else { history.output() };
            let count = counted.iter().filter(|of| **of == id).count() as f32;
            let (f, presence) = (penalties.frequency_penalty as f32, penalties.presence_penalty as f32);
            if count == 0.0 || (f == 0.0 && presence == 0.0) { x } else { x - (f * count + presence) }
        }
        _ => {
            let dry = &penalties.dry;
            let breakers = dry.sequence_breakers.as_deref().unwrap_or_default();
            match continued(window(history.all(), dry.last_n), breakers).get(&id) {
                Some(length) if *length >= dry.allowed_length && dry.multiplier != 0.0 => {
                    let power = (dry.allowed_length..*length)
                        .fold(1.0, |power, _| power * f64::from(dry.base as f32));
                    x - dry.multiplier as f32 * power as f32
                }
                _ => x,
            }
        }
    }
}

/// The row after everything, by definition: one token after another within each step.
pub fn adjusted(
    masks: &Masks,
    penalties: &Penalties,
    history: &History,
    row: &[f32],
) -> Result<Vec<f32>, Error> {
    let (left, mut names) = left(masks, history, row.len());
    if !left.contains(&true) {
        return Err(Error::NothingLeft { names, row: 3 });
    }
    let mut x: Vec<f32> =
        row.iter().zip(left).map(|(x, left)| if left { *x } else { f32::NEG_INFINITY }).collect();
    law::check_row(&x).map_err(|error| error.in_row(3))?;
    let counted = if penalties.frequency_penalty == 0.0 {
        ("presence_penalty", penalties.presence_penalty)
    } else {
        ("frequency_penalty", penalties.frequency_penalty)
    };
    let steps = [
        ("logit_bias", ("logit_bias", 0.0)), // of which the largest is told
        ("sequence_bias", ("sequence_bias", 0.0)),
        ("repetition_penalty", ("repetition_penalty", penalties.repetition_penalty)),
        ("frequency_penalty", counted),
        ("dry_multiplier", ("dry_multiplier", penalties.dry.multiplier)),
    ];
    for (at, (name, (argument, value))) in steps.into_iter().enumerate() {
        let before = x.clone();
        for (token, x) in x.iter_mut().enumerate().filter(|(_, x)| **x > f32::NEG_INFINITY) {
            *x = step(penalties, history, at, token as u32, *x);
        }
        if let Some(token) = x.iter().position(|x| x.is_nan() || *x == f32::INFINITY) {
            let value = largest_bias(penalties, history, argument, token as u32).unwrap_or(value);
            return Err(Error::Infinite { argument, value, row: 3, token });
        }
        if x.iter().zip(before).any(|(x, before)| *x == f32::NEG_INFINITY && before > *x) {
            names.push(name);
        }
    }
    if x.iter().any(|x| *x > f32::NEG_INFINITY) { Ok(x) } else { Err(Error::NothingLeft { names, row: 3 }) }
}

/// The largest of the biases that the token gets added by this argument, if it is one of biases.
fn largest_bias(penalties: &Penalties, history: &History, argument: &str, token: u32) -> Option<f64> {
    let biases: Vec<f64> = match argument {
        "logit_bias" => {
            let biases = penalties.logit_bias.iter().flat_map(|biases| biases.iter());
            biases.filter(|(id, _)| *id == token).map(|(_, bias)| *bias).collect()
        }
        "sequence_bias" => {
            let biases = penalties.sequence_bias.iter().flat_map(|biases| biases.iter());
            let ends = |ids: &[u32]| [history.all(), &[token]].concat().ends_with(ids);
            biases.filter(|(ids, _)| ids.last() == Some(&token) && ends(ids)).map(|(_, bias)| *bias).collect()
        }
        _ => return None,
    };
    biases.into_iter().reduce(f64::max)
}
