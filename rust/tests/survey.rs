//! The survey: its interval holds the exact sum, its maximum is the row's, and it refuses what is no row.

mod common;

use common::{naive, row, temperature};
use proptest::prelude::*;
use rheostat::law;
use rheostat::survey::Survey;

fn checked(row: &[f32], temperature: f64) -> bool {
    let mut cells = vec![];
    let Some(survey) = Survey::of(row, law::scale_of(temperature), &mut cells) else { return false };
    let maximum = naive::maximum(row);
    assert_eq!(survey.maximum(row, &cells), maximum);
    let z: u64 = row.iter().map(|x| naive::integer_weight(*x, maximum, temperature)).sum();
    let (low, high) = survey.sum_between(maximum, row.len());
    assert!(low <= z && z <= high, "{z} is not in {low} ..= {high} at T = {temperature}");
    assert!(high - low <= z / 40_000 + row.len() as u64 + 6, "{low} ..= {high} is wide");
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
        row.iter_mut().for_each(|x| *x = x.clamp(-20.0, 20.0));
        row[0] = 20.0;
        row.resize(1500, -1.0);
        row[1300] = 20.0 + above;
        prop_assert!(checked(&row, t) || above > 30.0);
    }
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
    row[..1024].fill(f32::NEG_INFINITY); // nothing to guess from
    assert!(!checked(&row, 1.0));
    assert!(!checked(&vec![1e7; 5000], 1.0)); // too far for k
}
