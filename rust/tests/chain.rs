//! Kept sets and draws at every SIMD level, against the naive twin.

mod common;

use common::{at_every_level, naive, row, temperature};
use proptest::prelude::*;
use rheostat::knobs::PRESETS;
use rheostat::scratch::Scratch;
use rheostat::{Error, Knobs, Step, chain, law, logprobs};

fn knobs() -> impl Strategy<Value = Knobs> {
    let temperature = prop_oneof![8 => temperature(), 1 => Just(0.0)];
    let top_k = prop_oneof![Just(0_usize), 1_usize..100, 1_usize..4000];
    let top_p = prop_oneof![Just(1.0), 1e-9_f64..1.0, 0.9_f64..1.0, Just(0.999_999)];
    let min_p = prop_oneof![Just(0.0), 1e-6_f64..1.0, Just(1.0)];
    let share = || prop_oneof![3 => Just(0.0), 1 => 1e-6_f64..1.0, 1 => 0.5_f64..1.0];
    let typical_p = prop_oneof![3 => Just(1.0), 1 => 1e-6_f64..1.0, 1 => Just(0.95)];
    let top_n_sigma = prop_oneof![3 => Just(0.0), 1 => 0.01_f64..5.0];
    let others = (typical_p, share(), share(), share(), top_n_sigma, share(), prop::bool::weighted(0.3));
    (temperature, top_k, top_p, min_p, others).prop_map(|(temperature, top_k, top_p, min_p, others)| {
        let (typical_p, epsilon_cutoff, eta_cutoff, top_h, top_n_sigma, xtc_threshold, xtc) = others;
        Knobs {
            temperature,
            top_k,
            top_p,
            min_p,
            typical_p,
            epsilon_cutoff,
            eta_cutoff,
            top_h,
            top_n_sigma,
            xtc_threshold,
            xtc_probability: f64::from(u8::from(xtc)),
        }
    })
}

/// A preset with what it does not name after it, or every step in any order.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let preset = (0..PRESETS.len()).prop_map(|preset| {
        let steps = PRESETS[preset].1;
        let after = Step::AFTER.into_iter().filter(|step| !steps.contains(step));
        steps.iter().copied().chain(after).collect()
    });
    prop_oneof![preset, Just(Step::ALL.to_vec()).prop_shuffle()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn kept_sets_and_draws_match_naive(
        row in row(), knobs in knobs(), steps in steps(), us in prop::collection::vec(any::<u64>(), 3)
    ) {
        let (wanted, t) = naive::keep(&row, &knobs, &steps);
        let mut scratch = Scratch::default();
        at_every_level(|level| {
            let mut kept = chain::keep(&row, &knobs, &steps, &mut scratch).expect("a good row");
            let ids: Vec<usize> = kept.tokens().map(|(id, _)| id).collect();
            assert_eq!(ids, wanted, "{}", level.name());
            let mut urn = kept.urn();
            for u in us.iter().copied().chain([0, u64::MAX]) {
                assert_eq!(urn.draw(u), naive::draw(&row, &wanted, t, u), "{}", level.name());
            }
        });
    }

    #[test]
    fn taking_until_nothing_is_left_gives_every_token_of_a_weight_once(row in row(), seed in any::<u64>()) {
        let mut scratch = Scratch::default();
        let m = naive::maximum(&row);
        let mut weighty: Vec<usize> =
            (0..row.len()).filter(|&id| naive::integer_weight(row[id], m, 1.0) > 0).take(40).collect();
        let row: Vec<f32> = weighty.iter().map(|&id| row[id]).collect();
        weighty = (0..row.len()).filter(|&id| naive::integer_weight(row[id], naive::maximum(&row), 1.0) > 0).collect();
        let mut kept = chain::keep(&row, &Knobs::default(), &[], &mut scratch).expect("a good row");
        let mut urn = kept.urn();
        let mut taken = vec![];
        while let Some(id) = urn.take(seed.wrapping_mul(taken.len() as u64 * 2 + 1)) {
            taken.push(id);
        }
        taken.sort_unstable();
        prop_assert_eq!(taken, weighty);
    }
}

proptest! {
    #[test]
    fn ranks_and_the_best_match_a_sort(row in row(), picks in prop::collection::vec(any::<u32>(), 0..20), top in 0_usize..40) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| row[b].partial_cmp(&row[a]).expect("no NaN").then(a.cmp(&b)));
        let ids: Vec<u32> = picks.iter().map(|pick| pick % row.len() as u32).collect();
        let place = |id: &u32| 1 + order.iter().position(|at| *at == *id as usize).expect("an id of the row");
        prop_assert_eq!(logprobs::ranks(&row, &ids), ids.iter().map(place).collect::<Vec<_>>());

        let mut scratch = Scratch::default();
        let kept = chain::keep(&row, &Knobs::default(), &[], &mut scratch).expect("a good row");
        let (own, best) = logprobs::logprobs(kept, &ids, top);
        let alive = order.iter().copied().filter(|id| row[*id] > f32::NEG_INFINITY).take(top);
        prop_assert!(best.iter().map(|(id, _)| *id as usize).eq(alive));
        for (id, log_p) in ids.iter().zip(own) {
            let found = best.iter().find(|(at, _)| at == id);
            prop_assert!(found.is_none_or(|(_, best)| *best == log_p));
        }
    }
}

#[test]
fn a_bad_row_is_an_error_that_names_the_lowest_token() {
    let keep = |row: &[f32]| chain::keep(row, &Knobs::default(), &[], &mut Scratch::default()).err();
    let mut row = vec![0.0; 100];
    row[70] = f32::INFINITY;
    assert_eq!(keep(&row), Some(Error::Logit { row: 0, token: 70, value: f64::INFINITY }));
    row[40] = f32::NAN;
    assert!(matches!(keep(&row), Some(Error::Logit { token: 40, .. })));
    assert_eq!(keep(&[f32::NEG_INFINITY; 5]), Some(Error::NoFiniteLogit { row: 0 }));
}

#[test]
fn a_row_that_the_law_has_no_room_for_is_an_error() {
    let said = |length: usize| {
        let row = vec![0.0; length];
        let kept =
            chain::keep(&row, &Knobs::default(), &[], &mut Scratch::default()).map(|kept| kept.count());
        assert_eq!(kept.is_ok(), law::check_row(&row).is_ok());
        kept.map_err(|error| error.to_string())
    };
    assert_eq!(said(law::MAX_VOCAB), Ok(law::MAX_VOCAB));
    let rule = "logits must have a vocabulary of 1 to 1048576, got";
    assert_eq!(said(law::MAX_VOCAB + 1), Err(format!("{rule} 1048577")));
    assert_eq!(said(0), Err(format!("{rule} 0")));
}

#[test]
fn a_knob_beyond_its_rule_is_an_error_whether_its_step_is_in_the_chain_or_not() {
    let off = Knobs::default();
    let bad = [
        Knobs { temperature: -1.0, ..off },
        Knobs { temperature: 1e-300, ..off },
        Knobs { top_p: f64::NAN, ..off },
        Knobs { top_p: 0.0, ..off },
        Knobs { min_p: 1.5, ..off },
        Knobs { typical_p: 0.0, ..off },
        Knobs { epsilon_cutoff: 1.0, ..off },
        Knobs { eta_cutoff: -0.1, ..off },
        Knobs { top_h: f64::INFINITY, ..off },
        Knobs { top_n_sigma: f64::INFINITY, ..off },
        Knobs { xtc_threshold: 2.0, ..off },
        Knobs { xtc_probability: f64::NAN, ..off },
    ];
    for (knobs, steps) in bad.iter().flat_map(|knobs| [(knobs, &Step::ALL[..]), (knobs, &[])]) {
        let mut scratch = Scratch::default();
        let error = chain::keep(&[0.0, 1.0, -3e38], knobs, steps, &mut scratch).err();
        assert!(matches!(error, Some(Error::Knob { .. })), "{knobs:?}");
    }
    assert_eq!(
        bad[2].check().map_err(|error| error.to_string()),
        Err("top_p must be in (0, 1], got nan".to_owned())
    );
}

#[test]
fn wide_rows_match_naive() {
    // A flat row whose nucleus is most of it, and one with a few values only: the radix select's long way.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 16_777_216.0
    };
    let smooth: Vec<f32> = (0..50_000).map(|_| (0..6).map(|_| next()).sum::<f32>() * 1.4).collect();
    let coarse: Vec<f32> = smooth.iter().map(|x| (x * 2.0).round()).collect();
    for row in [smooth, coarse] {
        for (top_k, top_p) in [(0, 0.9), (0, 0.999_999), (20_000, 1.0), (30_000, 0.5)] {
            let knobs = Knobs { temperature: 1.5, top_k, top_p, ..Knobs::default() };
            let (wanted, _) = naive::keep(&row, &knobs, PRESETS[0].1);
            at_every_level(|level| {
                let mut scratch = Scratch::default();
                let kept = chain::keep(&row, &knobs, PRESETS[0].1, &mut scratch).expect("a good row");
                assert!(kept.tokens().map(|(id, _)| id).eq(wanted.iter().copied()), "{}", level.name());
            });
        }
    }
    assert_eq!(law::LAW, 1);
}

#[test]
fn the_best_of_long_rows_match_a_sort() {
    let rising: Vec<f32> = (0..20_000).map(|i| i as f32).collect();
    let falling: Vec<f32> = rising.iter().rev().copied().collect();
    let tied: Vec<f32> = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 27) as f32).collect();
    let late: Vec<f32> = (0..20_000).map(|i| if i < 19_990 { f32::NEG_INFINITY } else { i as f32 }).collect();
    // (Cells lie in another order at each level, so no other test may change it meanwhile.)
    at_every_level(|_| {
        for row in [&rising, &falling, &tied, &late] {
            for (top, top_k) in [(1, 0), (5, 0), (32, 0), (33, 0), (5, 9_000), (20, 3)] {
                let mut scratch = Scratch::default();
                let knobs = Knobs { top_k, ..Knobs::default() };
                let kept = chain::keep(row, &knobs, &[Step::TopK], &mut scratch).expect("a good row");
                let mut sorted: Vec<_> = kept.tokens().map(|(id, x)| (x, id as u32)).collect();
                sorted.sort_unstable_by(|a, b| law::order(*a, *b));
                let wanted = sorted.into_iter().take(top).map(|(_, id)| id);
                let (_, best) = logprobs::logprobs(kept, &[], top);
                assert!(best.into_iter().map(|(id, _)| id).eq(wanted), "{top} {top_k}");
            }
        }
    });
}
