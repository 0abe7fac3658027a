//! Masks, biases and penalties of one row at every SIMD level, against twins that go token by token.

mod common;

use common::adjust::{adjusted, left};
use proptest::prelude::*;
use rheostat::Error;
use rheostat::adjust::{Adjustment, Shaped, Shaping};
use rheostat::dry::Dry;
use rheostat::history::{History, repeats};
use rheostat::masks::{Ids, Masks};
use rheostat::memory::{Memory, Moment};
use rheostat::penalties::Penalties;
use rheostat::simd::Logits;

/// Ids of the histories and lists: few, so that they meet.
const FEW: u32 = 6;

fn ids(most: usize) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0..FEW, 0..most)
}

fn list() -> impl Strategy<Value = Option<Ids>> {
    prop::option::of(ids(4).prop_map(Ids::from))
}

fn rows() -> impl Strategy<Value = Vec<f32>> {
    let logit = prop_oneof![
        30 => -30.0_f32..30.0,
        1 => Just(f32::NEG_INFINITY),
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, 3e38, -3e38, -0.0]),
    ];
    let short = prop::collection::vec(logit.clone(), 1..9);
    prop_oneof![4 => short, 1 => prop::collection::vec(logit, 30..100)]
}

fn words() -> impl Strategy<Value = Vec<i32>> {
    let word = prop_oneof![any::<i32>(), Just(0), Just(-1), (0_u32..8).prop_map(|bit| 1 << bit)];
    prop::collection::vec(word, 0..5)
}

prop_compose! {
    fn masks()(
        vocab_size in prop::option::weighted(0.2, 1_usize..12),
        allowed_token_ids in prop::option::weighted(0.2, prop::collection::vec(0..100_u32, 0..8)),
        bitmask in prop::option::weighted(0.4, words()),
        banned_token_ids in list(),
        bad_words in prop::option::of(prop::collection::vec(prop::collection::vec(0..FEW, 1..4), 0..4)),
        no_repeat_ngram_size in 0_usize..4,
        min_tokens in 0_usize..8,
        eos_token_id in list(),
        stop_token_ids in list(),
    ) -> Masks {
        Masks {
            vocab_size,
            allowed_token_ids: allowed_token_ids.map(Ids::from),
            bitmask: bitmask.map(Into::into),
            banned_token_ids,
            bad_words: bad_words.map(|words| words.into_iter().map(Ids::from).collect()),
            no_repeat_ngram_size,
            min_tokens,
            eos_token_id,
            stop_token_ids,
        }
    }
}

fn bias() -> impl Strategy<Value = f64> {
    prop_oneof![8 => -5.0_f64..5.0, 1 => Just(f64::NEG_INFINITY), 1 => Just(3e38)]
}

prop_compose! {
    fn penalties()(
        logit_bias in prop::option::of(prop::collection::hash_map(0..FEW, bias(), 0..4)),
        mut sequences in prop::collection::vec((prop::collection::vec(0..FEW, 1..4), bias()), 0..4),
        repetition_penalty in prop_oneof![Just(1.0), 0.5_f64..2.0, Just(1e-40)],
        frequency_penalty in prop_oneof![Just(0.0), -2.0_f64..2.0, Just(-3e38)],
        presence_penalty in prop_oneof![Just(0.0), -2.0_f64..2.0],
        penalty_last_n in prop::option::of(0_usize..20),
        multiplier in prop_oneof![Just(0.0), 0.1_f64..3.0],
        base in prop_oneof![1.0_f64..3.0, Just(1e30)],
        allowed_length in 0_usize..4,
        last_n in prop::option::of(0_usize..30),
        sequence_breakers in prop::option::weighted(0.2, ids(2).prop_map(Ids::from)),
    ) -> Penalties {
        sequences.sort_by_key(|(sequence, _)| sequence.len());
        Penalties {
            logit_bias: logit_bias.map(|biases| biases.into_iter().collect()),
            sequence_bias: Some(sequences.into_iter().map(|(ids, bias)| (ids.into(), bias)).collect()),
            repetition_penalty,
            frequency_penalty,
            presence_penalty,
            penalty_last_n,
            dry: Dry { multiplier, base, allowed_length, last_n, sequence_breakers },
        }
    }
}

fn history() -> impl Strategy<Value = History> {
    (ids(20), ids(20)).prop_map(|(prompt, output)| History::new(&prompt, &output))
}

/// The row after everything, unchecked.
fn apply(adjustment: &Adjustment, row: &[f32], shaped: &mut Shaped) -> Result<Vec<f32>, Error> {
    let standing = adjustment.apply(Logits::F32(row), 3, shaped)?;
    Ok(standing.row().logits().to_vec())
}

/// What a caller does: the row is adjusted, then checked.
fn apply_and_check(adjustment: &Adjustment, row: &[f32], shaped: &mut Shaped) -> Result<Vec<f32>, Error> {
    let standing = adjustment.apply(Logits::F32(row), 3, shaped)?;
    standing.row().check().map_err(|error| error.in_row(3))?;
    Ok(standing.row().logits().to_vec())
}

/// Equal to the bit, and with NaN equal to itself.
fn shown<T: std::fmt::Debug>(result: &Result<T, Error>) -> String {
    format!("{result:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn an_adjusted_row_matches_naive(
        masks in masks(), penalties in penalties(), history in history(), row in rows(), stale in rows()
    ) {
        let expected = adjusted(&masks, &penalties, &history, &row);
        let adjustment = Adjustment::new(masks, penalties, history);
        let mut shaped = Shaped::default();
        let _ = apply(&adjustment, &stale, &mut shaped);
        let result = apply_and_check(&adjustment, &row, &mut shaped);
        prop_assert_eq!(shown(&result), shown(&expected));
    }

    #[test]
    fn masks_alone_match_naive(masks in masks(), history in history(), row in rows()) {
        let expected = adjusted(&masks, &Penalties::default(), &history, &row);
        let needs = Shaping { masks: masks.clone(), ..Shaping::default() }.needs();
        let memory = Memory::for_one_call(&history, needs, row.len());
        let moment = Moment { history: &history, memory: &memory, bitmask: None };
        let mut words = vec![7];
        if masks.allow(moment, row.len(), 3, &mut words).is_ok() {
            let (left, by) = left(&masks, &history, row.len());
            prop_assert_eq!(masks.names(moment, row.len(), &words), by);
            let held: Vec<bool> = (0..32 * words.len()).map(|i| words[i / 32] >> (i % 32) & 1 == 1).collect();
            prop_assert_eq!(&held[..row.len()], &left);
            prop_assert!(!held[row.len()..].contains(&true) && held.len() < row.len() + 32);
        }
        let adjustment = Adjustment::new(masks, Penalties::default(), history);
        let result = apply_and_check(&adjustment, &row, &mut Shaped::default());
        prop_assert_eq!(shown(&result), shown(&expected));
    }

    #[test]
    fn a_memory_that_is_kept_matches_one_made_anew(
        masks in masks(), penalties in penalties(), history in history(), more in ids(30), row in rows()
    ) {
        let shaping = Shaping { masks, penalties };
        let mut history = history;
        let mut memory = Memory::to_keep(&history, shaping.needs(), FEW as usize);
        let (mut shaped, mut other) = (Shaped::default(), Shaped::default());
        for id in more {
            history.push(id);
            memory.extend(&history);
            let moment = Moment { history: &history, memory: &memory, bitmask: None };
            let result = shaping.apply(moment, Logits::F32(&row), 3, &mut shaped);
            let result = result.map(|standing| standing.row().logits().to_vec());
            let Shaping { masks, penalties } = shaping.clone();
            let anew = Adjustment::new(masks, penalties, history.clone());
            let anew = apply(&anew, &row, &mut other);
            prop_assert_eq!(shown(&result), shown(&anew));
        }
    }

    #[test]
    fn repeats_match_naive(ids in prop::collection::vec(0_u32..3, 0..60)) {
        let naive = (0..ids.len()).rev().map(|place| {
            (ids[..place].iter().rev().zip(ids.iter().rev()).take_while(|(a, b)| a == b).count(), ids[place])
        });
        prop_assert_eq!(repeats(&ids).collect::<Vec<_>>(), naive.collect::<Vec<_>>());
    }

    #[test]
    fn a_penalty_that_should_lower_never_raises_a_logit(
        mut penalties in penalties(), history in history(), row in prop::collection::vec(-30.0_f32..30.0, 8)
    ) {
        penalties.logit_bias = None;
        penalties.sequence_bias = None;
        penalties.repetition_penalty = penalties.repetition_penalty.max(1.0);
        penalties.frequency_penalty = penalties.frequency_penalty.abs();
        penalties.presence_penalty = penalties.presence_penalty.abs();
        let adjustment = Adjustment::new(Masks::default(), penalties, history);
        if let Ok(out) = apply(&adjustment, &row, &mut Shaped::default()) {
            prop_assert!(out.iter().zip(&row).all(|(after, before)| after <= before));
        }
    }
}

#[test]
fn nothing_set_is_nothing_to_do() {
    assert!(Adjustment::default().is_none(2));
    let history = History::new(&[0, 1], &[1]);
    let adjustment = Adjustment::new(Masks::default(), Penalties::default(), history);
    assert!(adjustment.is_none(2));
    let out = apply(&adjustment, &[1.0, f32::NAN], &mut Shaped::default()).expect("no check");
    assert!(out[0] == 1.0 && out[1].is_nan());
}

#[test]
fn dry_is_linear_in_the_history() {
    let ids = [1, 2].repeat(500_000); // quadratic would be 10**12 comparisons
    let dry = Dry { multiplier: 1.0, base: 1.0, ..Dry::default() };
    let adjustment = Adjustment::new(
        Masks { no_repeat_ngram_size: 400_000, ..Masks::default() },
        Penalties { dry, ..Penalties::default() },
        History::new(&ids, &[]),
    );
    let out = apply(&adjustment, &[0.0; 4], &mut Shaped::default()).expect("a token is left");
    assert_eq!(out, [0.0, f32::NEG_INFINITY, 0.0, 0.0]);
}

#[test]
fn ids_beyond_the_row_say_nothing() {
    let far: Ids = [9].into();
    let masks = Masks {
        allowed_token_ids: Some([0, 9].into()),
        banned_token_ids: Some(far.clone()),
        bad_words: Some([far.clone(), [].into()].into()),
        no_repeat_ngram_size: 1,
        ..Masks::default()
    };
    let penalties = Penalties {
        logit_bias: Some([(9, 1.0)].into()),
        sequence_bias: Some([([9].into(), 1.0)].into()),
        repetition_penalty: 2.0,
        frequency_penalty: 1.0,
        dry: Dry { multiplier: 1.0, allowed_length: 0, ..Dry::default() },
        ..Penalties::default()
    };
    let adjustment = Adjustment::new(masks, penalties, History::new(&[9, 9], &[9]));
    let out = apply(&adjustment, &[1.0, 2.0], &mut Shaped::default()).expect("token 0 is left");
    assert_eq!(out, [1.0, f32::NEG_INFINITY]);
}
