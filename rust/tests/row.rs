//! Rows read where they stand, in their own type, under a mask and with changed logits, against float32 copies of them
//! in which all of that is done: at every SIMD level, wherever the row begins.

mod common;

use common::standing::Case;
use common::{at_every_level, naive};
use half::{bf16, f16};
use proptest::prelude::*;
use rheostat::chain::{self, Kept};
use rheostat::nucleus::LONG;
use rheostat::row::Row;
use rheostat::scratch::Scratch;
use rheostat::simd::{self, Cells, Level, Logits, Source};
use rheostat::survey::Survey;
use rheostat::{Error, Knobs, Step, law};

/// Every NaN is one.
fn shown<T: std::fmt::Debug>(result: &T) -> String {
    format!("{result:?}")
}

fn read(source: Source<'_>) -> Vec<f32> {
    let mut out = vec![7.0; source.len()];
    simd::store_source(Level::current(), source, 0, &mut out);
    out
}

#[test]
fn every_narrow_number_is_widened_exactly() {
    let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
    let brains: Vec<bf16> = (0..=u16::MAX).map(bf16::from_bits).collect();
    let wide: [Vec<f32>; 2] =
        [halves.iter().map(|x| x.to_f32()).collect(), brains.iter().map(|x| x.to_f32()).collect()];
    at_every_level(|level| {
        for (logits, wide) in [Logits::F16(&halves), Logits::Bf16(&brains)].into_iter().zip(&wide) {
            for (x, wide) in read(Source { logits, allowed: None }).iter().zip(wide) {
                let is_equal = x.to_bits() == wide.to_bits() || (x.is_nan() && wide.is_nan());
                assert!(is_equal, "{x} is not {wide} at {}", level.name());
            }
        }
    });
}

fn logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        80 => -12.0_f32..12.0,
        10 => (-8_i8..8).prop_map(|x| f32::from(x) * 0.5),
        4 => Just(f32::NEG_INFINITY),
        2 => prop::sample::select(vec![0.0, -0.0, 6e-8, -6e-8, 65_504.0, 1e-40]),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        prop::sample::select(vec![
            1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 272, 2047, 2048, 2049, 4097
        ]),
        1_usize..6000,
    ]
}

/// Words for so many tokens: of every density, and with whole words of one kind.
fn words(length: usize) -> impl Strategy<Value = Vec<u32>> {
    let word = |density: u32| match density {
        0 => prop_oneof![19 => Just(0), 1 => (0_u32..32).prop_map(|bit| 1 << bit)].boxed(),
        1 => prop_oneof![Just(0), Just(!0), any::<u32>()].boxed(),
        2 => any::<u32>().boxed(),
        _ => prop_oneof![20 => Just(!0), 1 => any::<u32>()].boxed(),
    };
    (0_u32..4, 0..length).prop_flat_map(move |(density, one)| {
        prop::collection::vec(word(density), length.div_ceil(32)).prop_map(move |mut words| {
            words[one / 32] |= 1 << (one % 32); // never all forbidden
            for token in length..32 * words.len() {
                words[token / 32] &= !(1 << (token % 32));
            }
            words
        })
    })
}

fn case() -> impl Strategy<Value = Case> {
    let row = length().prop_flat_map(|length| {
        let changes = prop::collection::btree_map(0..length as u32, -12.0_f32..12.0, 0..40);
        // What stands where nothing may be read.
        let bad = prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.0]);
        (
            0_usize..3,
            prop::collection::vec(logit(), length),
            prop::option::weighted(0.8, words(length)),
            changes,
            bad,
        )
    });
    (row, prop_oneof![3 => Just(f32::NAN), 1 => 0.0_f32..30.0]).prop_map(
        |((kind, wide, words, changes, bad), above)| {
            let mut case = Case { kind, wide, words, changes: changes.into_iter().collect() };
            case.spoil(bad);
            if above >= 0.0 {
                // A peak, where it may come.
                let place = (above * 1e6) as usize % case.wide.len();
                case.wide[place] = above;
            }
            case
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_read_is_the_row(case in case(), offset in 0_usize..16, from in any::<prop::sample::Index>()) {
        at_every_level(|level| case.with(offset, |row, wide| {
            let name = level.name();
            assert_eq!(row.len(), wide.len());
            let (from, mut xs, mut ids) = (from.index(wide.len()) / 16 * 16, vec![1.0], vec![2]);
            let part = row.with_part(from..wide.len().min(from + 300), <[f32]>::to_vec);
            assert_eq!(shown(&part), shown(&&wide[from..from + part.len()]), "{name}");
            assert_eq!(shown(&row.logit(from)), shown(&wide[from]), "{name}");
            assert_eq!(shown(&row.check()), shown(&law::check_row(wide)), "{name}");
            row.gather(1.5, &mut xs, &mut ids);
            let wanted: Vec<u32> = (0..wide.len() as u32).filter(|id| wide[*id as usize] >= 1.5).collect();
            assert_eq!(ids, wanted, "{name}");
            assert!(xs.iter().zip(&ids).all(|(x, id)| x.to_bits() == wide[*id as usize].to_bits()), "{name}");
            let mut cells = Cells::default();
            assert_eq!(shown(&row.check_with_peaks(&mut cells)), shown(&law::check_row(wide)), "{name}");
            row.gather_from_cells(&cells, (1.5, 1.5), &mut xs, &mut ids);
            assert_eq!(ids, wanted, "{name}");
            assert_eq!(shown(&row.logits()), shown(&wide), "{name}");
        }));
    }

    #[test]
    fn few_allowed_tokens_are_listed_with_the_row_s_errors(case in case()) {
        case.with(0, |row, wide| {
            let (mut xs, mut ids) = (vec![1.0], vec![2]);
            let Some(words) = row.source().allowed else { return };
            let found = row.gather_few(words, &mut xs, &mut ids);
            assert_eq!(shown(&found), shown(&law::check_row(wide)));
            if found.is_ok() {
                let wanted = (0..wide.len()).filter(|id| wide[*id] > f32::NEG_INFINITY);
                assert!(ids.iter().map(|id| *id as usize).eq(wanted));
                assert!(xs.iter().zip(&ids).all(|(x, id)| *x == wide[*id as usize]));
            }
        });
    }

    #[test]
    fn a_survey_tells_of_the_row(case in case(), offset in 0_usize..16, t in 0.3_f64..3.0, u in any::<u64>()) {
        at_every_level(|level| case.with(offset, |row, wide| {
            let (name, mut cells, mut weights) = (level.name(), Cells::default(), vec![]);
            let Some(survey) = Survey::of(row, law::scale_of(t), &mut cells) else { return };
            let maximum = law::check_row(wide).expect("a sum that is a number");
            assert_eq!(survey.maximum(row, &cells), maximum, "{name}");
            let z: u64 = wide.iter().map(|x| naive::integer_weight(*x, maximum, t)).sum();
            let (low, high) = survey.sum_between(maximum, wide.len());
            assert!(low <= z && z <= high, "{z} is not in {low} ..= {high} at T = {t}, {name}");
            let ids: Vec<usize> = (0..wide.len()).filter(|id| wide[*id] > f32::NEG_INFINITY).collect();
            for u in (0..4).map(|i| u.wrapping_add(i << 62)) {
                let token = survey.draw(row, maximum, u, &cells, &mut weights);
                assert!(token.is_none_or(|token| token == naive::draw(wide, &ids, t, u)), "{name}, u = {u}");
            }
        }));
    }

    #[test]
    fn what_is_kept_and_drawn_is_the_copy_s(
        case in case(), t in prop_oneof![Just(0.0), 0.2_f64..3.0], top_p in prop_oneof![Just(1.0), 0.05_f64..1.0],
        min_p in prop_oneof![3 => Just(0.0), 1 => 0.001_f64..1.0], top_k in prop_oneof![3 => Just(0), 1 => 1_usize..100],
        u in any::<u64>(),
    ) {
        let knobs = Knobs { temperature: t, top_p, min_p, top_k, ..Knobs::default() };
        let steps = [Step::Temperature, Step::MinP, Step::TopK, Step::TopP];
        let keep = |row: Row<'_>| -> Result<(Vec<u32>, usize, u64), Error> {
            let mut scratch = Scratch::default();
            let mut kept = Kept::read(row, chain::first_scale(steps, &knobs), &mut scratch)?;
            for step in steps {
                kept.take(step, &knobs);
            }
            let ids = kept.tokens().map(|(id, _)| id as u32).collect();
            Ok((ids, kept.draw(u), kept.weight()))
        };
        at_every_level(|level| case.with(0, |row, wide| {
            assert_eq!(shown(&keep(row)), shown(&keep(wide.into())), "{}", level.name());
        }));
    }
}

/// A long row with a narrow nucleus: in every type, under a mask and with changes, a survey and its cells are all that
/// is read, and no copy is made.
#[test]
fn a_peaked_row_is_not_copied() {
    let length = 3 * LONG + 5;
    let wide: Vec<f32> = (0..length).map(|i| -((i * 7919 % 100) as f32) / 8.0).collect();
    for kind in 0..3 {
        for words in [None, Some(vec![0x5555_5555; length.div_ceil(32)])] {
            let mut case = Case { kind, wide: wide.clone(), words, changes: vec![(3, 14.0), (5001, 15.0)] };
            case.wide[2] = 14.0; // the row begins like no flat one
            (case.wide[4000], case.wide[4001]) = (16.0, f32::from(u8::from(case.words.is_none())));
            case.with(0, |row, wide| {
                let knobs = Knobs { top_p: 0.9, ..Knobs::default() };
                let mut scratch = Scratch::default();
                let mut kept = Kept::read(row, Some(law::scale_of(1.0)), &mut scratch).expect("a good row");
                kept.take(Step::TopP, &knobs);
                let ids: Vec<usize> = kept.tokens().map(|(id, _)| id).collect();
                assert_eq!(ids, naive::keep(wide, &knobs, &[Step::TopP]).0);
                assert_eq!(kept.draw(0), ids[0]);
                if let Row::Other(standing) = row {
                    assert!(!standing.is_copied());
                }
            });
        }
    }
}
