//! The survey: its interval holds the exact sum, its maximum is the row's, and it refuses what is no row.

mod common;

use common::{at_every_level, naive, row, temperature};
use proptest::prelude::*;
use rheostat::law;
use rheostat::simd::{Cells, Level};
use rheostat::survey::{self, Survey};

fn checked(row: &[f32], temperature: f64) -> bool {
    let mut cells = Cells::default();
    let Some(survey) = Survey::of(row.into(), law::scale_of(temperature), &mut cells) else { return false };
    let maximum = naive::maximum(row);
    assert_eq!(survey.maximum(row.into(), &cells), maximum);
    let z: u64 = row.iter().map(|x| naive::integer_weight(*x, maximum, temperature)).sum();
    let (low, high) = survey.sum_between(maximum, row.len());
    assert!(low <= z && z <= high, "{z} is not in {low} ..= {high} at T = {temperature}");
    assert!(high - low <= z / 40_000 + row.len() as u64 + 6, "{low} ..= {high} is wide");
    for below in [0.0, 1.0, 4.0, 1e6] {
        let listed: Vec<f32> = row
            .iter()
            .copied()
            .filter(|x| f64::from(*x) >= f64::from(maximum) - below * temperature)
            .collect();
        let mass: u64 = listed.iter().map(|x| naive::integer_weight(*x, maximum, temperature)).sum();
        let (from, to) = survey.sum_with_listed(maximum, row.len(), &listed, mass, &cells);
        assert!(
            from <= z && z <= to,
            "{z} is not in {from} ..= {to} at T = {temperature} with {} listed",
            listed.len()
        );
        let wide = 2.5e-6 * z as f64 + 1.5e-5 * (z - mass) as f64 + 2e6;
        assert!((to - from) as f64 <= wide + row.len() as f64, "{from} ..= {to} is wide");
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn its_interval_holds_the_sum(row in row(), t in temperature(), offset in prop_oneof![Just(0.0_f32), -3e6_f32..3e6]) {
        let row: Vec<f32> = row.iter().map(|x| x + offset).collect();
        if naive::maximum(&row) < f32::INFINITY {
            checked(&row, t);
        }
    }

    #[test]
    fn it_holds_where_the_guess_is_poor(mut row in row(), above in 0.0_f32..60.0, t in 0.5_f64..3.0) {
        row.truncate(600);
        for x in &mut row {
            *x = x.clamp(-20.0, 20.0);
        }
        row[0] = 20.0;
        row.resize(1500, -1.0);
        row[1300] = 20.0 + above;
        prop_assert!(checked(&row, t) || above > 30.0);
    }
}

/// How many of the chances the survey decides, none where its guess is poor; those it does, as the law does.
fn decided(row: &[f32], temperature: f64, chances: impl Iterator<Item = u64>) -> usize {
    let (mut cells, mut weights) = (Cells::default(), vec![]);
    let Some(survey) = Survey::of(row.into(), law::scale_of(temperature), &mut cells) else { return 0 };
    let maximum = naive::maximum(row);
    let ids: Vec<usize> = (0..row.len()).filter(|id| row[*id] > f32::NEG_INFINITY).collect();
    chances
        .filter(|u| {
            let token = survey.draw(row.into(), maximum, *u, &cells, &mut weights);
            assert!(token.is_none_or(|token| token == naive::draw(row, &ids, temperature, *u)), "u = {u}");
            token.is_some()
        })
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_it_draws_is_what_the_law_draws(row in row(), t in 0.3_f64..3.0, u in any::<u64>()) {
        let row: Vec<f32> = row.iter().map(|x| x.clamp(-50.0, 50.0)).collect();
        decided(&row, t, (0..8).map(|i| u.wrapping_add(i << 61)).chain([0, u64::MAX]));
    }
}

#[test]
fn it_decides_nearly_every_draw_from_a_peaked_row_and_no_border() {
    let mut row: Vec<f32> = (0..20_000).map(|i| -((i * 7919 % 1000) as f32) / 100.0 - 3.0).collect();
    for i in 0..8 {
        row[i * 2311 + 5] = 8.0 - i as f32 * 0.25;
    }
    assert!(decided(&row, 0.8, (0..100).map(|i| i << 57)) > 95);
    // The border between two equal halves.
    let mut row = vec![f32::NEG_INFINITY; 4000];
    (row[10], row[3000]) = (1.0, 1.0);
    assert_eq!(decided(&row, 1.0, [(1 << 63) - 1, 1 << 63, (1 << 63) + 1].into_iter()), 0);
    assert_eq!(decided(&row, 1.0, [1 << 62, 3 << 62].into_iter()), 2);
}

#[test]
fn what_a_guess_cannot_serve_is_refused() {
    let mut row = vec![0.0; 5000];
    assert!(checked(&row, 1.0));
    for bad in [f32::NAN, f32::INFINITY, 200.0] {
        row[4000] = bad; // 2**288 is no float32
        assert!(!checked(&row, 1.0), "{bad}");
    }
    row[4000] = -500.0;
    assert!(checked(&row, 1.0));
    row[..1024].fill(f32::NEG_INFINITY); // control tokens, say
    assert!(checked(&row, 1.0));
    row[..4999].fill(f32::NEG_INFINITY); // nothing to guess from
    assert!(!checked(&row, 1.0));
    assert!(!checked(&vec![1e7; 5000], 1.0)); // too far for k
}

#[test]
fn a_row_is_flat_by_what_is_all_over_it() {
    let scale = law::scale_of(1.0);
    let flat: Vec<f32> = (0..40_000).map(|i| (i * 7919 % 1000) as f32 / 1000.0).collect();
    assert!(survey::looks_flat(flat.as_slice().into(), None, scale));
    assert!(survey::looks_flat(flat.as_slice().into(), Some(1.0), scale));
    // As flat where it is looked at, but one token outweighs the rest.
    assert!(!survey::looks_flat(flat.as_slice().into(), Some(12.0), scale));
    // A flat start does not make a row flat, nor a steep one a row steep.
    let mut steep: Vec<f32> = flat.iter().map(|x| x * 30.0).collect();
    steep[..1000].fill(-3.0);
    assert!(!survey::looks_flat(steep.as_slice().into(), None, scale));
    let mut mostly_flat = flat.clone();
    mostly_flat[..1000].copy_from_slice(&steep[2000..3000]);
    mostly_flat[..1000].iter_mut().for_each(|x| *x -= 60.0);
    assert!(survey::looks_flat(mostly_flat.as_slice().into(), None, scale));
}

/// Another thread may set another level between two passes over one row: its cells are read as they were written.
#[test]
fn a_level_set_in_the_middle_of_a_row_changes_nothing() {
    let row: Vec<f32> = (0..3001).map(|i| -((i * 7919 % 1000) as f32) / 64.0).collect();
    let expected: Vec<u32> = (0..3001).filter(|i| row[*i as usize] >= -2.0).collect();
    at_every_level(|before| {
        for after in Level::available() {
            let (mut cells, mut xs, mut ids) = (Cells::default(), vec![], vec![]);
            before.make_current();
            cells.survey(row.as_slice().into(), &[], 1.0, 0.0);
            after.make_current();
            cells.gather(row.as_slice().into(), (0.24, -2.0), &mut xs, &mut ids); // a logit of -2 weighs 0.25
            assert_eq!(ids, expected, "{}, then {}", before.name(), after.name());
        }
    });
}
