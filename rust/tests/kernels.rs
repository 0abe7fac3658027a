//! Every kernel at every SIMD level that the CPU has, against the naive twin.

mod common;

use common::{naive, row, temperature};
use proptest::prelude::*;
use rheostat::law;
use rheostat::simd::{self, Level, Surveyed};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn results_do_not_depend_on_where_a_row_begins(row in row(), t in temperature()) {
        let m = naive::maximum(&row);
        let scale = law::scale_of(t);
        let sum = simd::sum_weights(Level::current(), &row, m, scale);
        for offset in 0..16 {
            let mut memory = vec![9.0; offset];
            memory.extend_from_slice(&row);
            let row = &memory[offset..];
            for level in Level::available() {
                prop_assert_eq!(simd::maximum(level, row).logit, m);
                prop_assert_eq!(simd::sum_weights(level, row, m, scale), sum);
                let (mut sums, mut marks, mut blocks) = (vec![], vec![], vec![]);
                let band = (f32::NEG_INFINITY, f32::NEG_INFINITY);
                prop_assert_eq!(simd::sum_above_and_mark(level, row, m, scale, band, &mut sums, &mut marks), sum);
                prop_assert_eq!(sums.iter().sum::<u64>(), sum);
                simd::sum_blocks(level, row, m, scale, &mut blocks);
                prop_assert_eq!(&blocks, &sums);
                let (mut cells, mut xs, mut ids) = (vec![], vec![], vec![]);
                simd::survey(level, row.into(), 1e-3, 0.0, &mut cells); // so flat that no cell is NaN
                simd::gather_from_cells(level, row.into(), &cells, (0.0, f32::MIN), &mut xs, &mut ids);
                let finite = (0..row.len() as u32).filter(|id| row[*id as usize] > f32::NEG_INFINITY);
                prop_assert!(finite.eq(ids.iter().copied()), "{}", level.name());
            }
        }
    }

    #[test]
    fn maximum_matches_naive(row in row()) {
        for level in Level::available() {
            let found = simd::maximum(level, &row);
            prop_assert_eq!(found.logit, naive::maximum(&row), "{}", level.name());
            prop_assert!(!found.has_nan);
        }
    }

    #[test]
    fn a_nan_anywhere_is_seen(mut row in row(), at in any::<prop::sample::Index>()) {
        let at = at.index(row.len());
        row[at] = f32::NAN;
        for level in Level::available() {
            prop_assert!(simd::maximum(level, &row).has_nan, "{}", level.name());
        }
    }

    #[test]
    fn weights_and_their_sum_match_naive(row in row(), t in temperature()) {
        let m = naive::maximum(&row);
        let scale = law::scale_of(t);
        let weights: Vec<u32> = row.iter().map(|x| (naive::weight(*x, m, t) * 2.0_f32.powi(43)).to_bits()).collect();
        let sum: u64 = row.iter().map(|x| naive::integer_weight(*x, m, t)).sum();
        for level in Level::available() {
            let mut stored = vec![-1.0; row.len()];
            simd::store_weights(level, &row, m, scale, &mut stored);
            let bits: Vec<u32> = stored.iter().map(|w| w.to_bits()).collect();
            prop_assert_eq!(&bits, &weights, "{}", level.name());
            prop_assert_eq!(simd::sum_weights(level, &row, m, scale), sum, "{}", level.name());
            stored.fill(-1.0);
            prop_assert_eq!(simd::store_and_sum_weights(level, &row, m, scale, &mut stored), sum);
            let bits: Vec<u32> = stored.iter().map(|w| w.to_bits()).collect();
            prop_assert_eq!(&bits, &weights, "{}", level.name());
        }
    }

    #[test]
    fn gathering_matches_naive(row in row(), cut in prop_oneof![-10.0_f32..10.0, Just(f32::MIN), Just(0.0)]) {
        let inside = |id: &u32| row[*id as usize] >= cut && row[*id as usize] <= cut + 4.0;
        let wanted: Vec<u32> = (0..row.len() as u32).filter(inside).map(|id| id + 7).collect();
        for level in Level::available() {
            let (mut xs, mut ids) = (vec![], vec![]);
            simd::gather_between(level, &row, (cut, cut + 4.0), 7, &mut xs, &mut ids);
            prop_assert_eq!(&ids, &wanted, "{}", level.name());
            prop_assert!(xs.iter().zip(&ids).all(|(x, id)| x.to_bits() == row[*id as usize - 7].to_bits()));
        }
    }

    #[test]
    fn lists_match_naive(row in row(), cut in prop_oneof![-10.0_f32..10.0, Just(f32::MIN), Just(0.0)], junk in 0_usize..900) {
        let wanted: Vec<u32> = (0..row.len() as u32).filter(|id| row[*id as usize] >= cut).collect();
        let listed: Vec<f32> = wanted.iter().map(|id| row[*id as usize]).collect();
        let sum: f64 = listed.iter().map(|x| f64::from(*x)).sum();
        for level in Level::available() {
            let (mut xs, mut ids) = (vec![1.0; junk], vec![7; junk / 2]);
            simd::list_at_least(level, &row, cut, &mut xs, &mut ids);
            prop_assert_eq!(&ids, &wanted, "{}", level.name());
            prop_assert_eq!(&xs, &listed, "{}", level.name());
            let found = simd::sum_wide(level, &xs);
            let size: f64 = xs.iter().map(|x| f64::from(x.abs())).sum();
            prop_assert!(found == sum || (found - sum).abs() <= 1e-12 * size, "{}: {found} for {sum}", level.name());
            let mut rough = vec![0.0; xs.len()];
            simd::store_rough_weights(level, &xs, 0.5, 1.0, &mut rough);
            let (sum, found) = (simd::sum_wide(level, &rough), simd::sum_rough_weights(level, &xs, 0.5, 1.0));
            prop_assert!(found == sum || (found - sum).abs() <= 1e-12 * sum + 1e-36, "{}: {found} for {sum}", level.name());
        }
    }

    #[test]
    fn cells_hold_their_logits_rough_weights(row in row(), cut in -5.0_f32..5.0, c in 1e-3_f32..3.0, k in -9_i8..9) {
        let shift = f32::from(k);
        let exact: f64 = row.iter().map(|x| (f64::from(*x) * f64::from(c) + f64::from(shift)).exp2()).sum();
        let cut = cut.min(naive::maximum(&row));
        let wanted: Vec<u32> = (0..row.len() as u32).filter(|id| row[*id as usize] >= cut).collect();
        for level in Level::available() {
            let (mut cells, mut xs, mut ids) = (vec![], vec![], vec![]);
            let Surveyed { sum, top } = simd::survey(level, row.as_slice().into(), c, shift, &mut cells);
            prop_assert!(
                exact > 1e35 || (sum - exact).abs() <= 1e-5 * exact + 1e-35 * row.len() as f64,
                "{}: {} for {}", level.name(), sum, exact
            );
            prop_assert_eq!(top, cells.iter().copied().fold(0.0, f32::max));
            let (all, count) = simd::sum_hot(level, &cells, 0.0);
            prop_assert!(sum > 1e37 || sum.is_nan() || (f64::from(all) - sum).abs() <= 1e-4 * sum);
            prop_assert!(count == cells.len() || !sum.is_finite());
            // Every logit at or above the cut is found through cells that are hot at its own weight.
            let mut hot = [0.0];
            simd::store_rough_weights(level, &[cut], c, shift, &mut hot);
            let hot = hot[0] * 0.999_99;
            if sum.is_finite() {
                simd::gather_from_cells(level, row.as_slice().into(), &cells, (hot, cut), &mut xs, &mut ids);
                prop_assert_eq!(&ids, &wanted, "{}", level.name());
                prop_assert_eq!(simd::maximum_from_cells(level, row.as_slice().into(), &cells, hot), naive::maximum(&row));
            }
        }
    }

    #[test]
    fn what_is_no_number_makes_a_survey_s_sum_none(mut row in row(), at in any::<prop::sample::Index>(), payload in 0_u32..1 << 22) {
        let at = at.index(row.len());
        for bad in [f32::INFINITY, f32::from_bits(0x7fc0_0000 | payload), f32::from_bits(0xff80_0001 | payload)] {
            row[at] = bad;
            for level in Level::available() {
                let sum = simd::survey(level, row.as_slice().into(), 1.0, 3.0, &mut vec![]).sum;
                prop_assert!(!sum.is_finite(), "{}: {}", level.name(), sum);
            }
        }
    }

    #[test]
    fn sums_above_a_band_and_its_marks_match_naive(
        row in row(), t in temperature(), low in -5.0_f32..5.0, width in prop_oneof![Just(0.0_f32), 0.0_f32..4.0],
    ) {
        let (m, high) = (naive::maximum(&row), low + width);
        let sum = |row: &[f32], low: f32| -> u64 {
            row.iter().filter(|x| **x > low).map(|x| naive::integer_weight(*x, m, t)).sum()
        };
        let wanted: Vec<u64> = row.chunks(1024).map(|block| sum(block, high)).collect();
        for level in Level::available() {
            let (mut sums, mut marks) = (vec![7], vec![7]);
            let all =
                simd::sum_above_and_mark(level, &row, m, law::scale_of(t), (low, high), &mut sums, &mut marks);
            prop_assert_eq!(all, sum(&row, f32::NEG_INFINITY), "{}", level.name());
            prop_assert_eq!(&sums, &wanted, "{}", level.name());
            prop_assert_eq!(marks.len(), row.len().div_ceil(32));
            for (id, x) in row.iter().enumerate() {
                prop_assert_eq!(marks[id / 32] >> (id % 32) & 1 == 1, *x >= low && *x <= high);
            }
        }
    }

    #[test]
    fn what_is_below_a_logit_is_counted_and_summed(row in row(), bound in -5.0_f32..5.0) {
        let count = row.iter().filter(|x| **x < bound).count();
        let even = &row[..row.len() / 32 * 32];
        let weights: Vec<f32> = (0..even.len()).map(|i| (i % 7) as f32).collect();
        let below = || even.iter().zip(&weights).filter(|(x, _)| **x < bound).map(|(_, v)| *v);
        for level in Level::available() {
            prop_assert_eq!(simd::count_below(level, &row, bound), count, "{}", level.name());
            let next = even.iter().copied().filter(|x| *x >= bound).fold(f32::INFINITY, f32::min);
            prop_assert_eq!(simd::sum_below(level, even, &weights, bound), (below().sum::<f32>(), next));
            let squares: f32 = below().map(|v| v * v).sum();
            prop_assert_eq!(simd::sum_squares_below(level, even, &weights, bound), squares);
        }
    }

    #[test]
    fn retaining_matches_naive(row in row(), cut in prop_oneof![-10.0_f32..10.0, Just(f32::MIN), Just(0.0)]) {
        let wanted: Vec<u32> = (0..row.len() as u32).filter(|id| row[*id as usize] >= cut).collect();
        for level in Level::available() {
            let (mut xs, mut ids) = (row.clone(), (0..row.len() as u32).collect());
            simd::retain_at_least(level, cut, &mut xs, &mut ids);
            prop_assert_eq!(&ids, &wanted, "{}", level.name());
            prop_assert!(xs.iter().zip(&ids).all(|(x, id)| x.to_bits() == row[*id as usize].to_bits()));
        }
    }

    #[test]
    fn multiplying_matches_naive(row in row(), factor in 0.0_f32..1.0) {
        for level in Level::available() {
            let mut values = row.clone();
            simd::multiply(level, &mut values, factor);
            prop_assert!(values.iter().zip(&row).all(|(v, x)| v.to_bits() == (x * factor).to_bits()));
        }
    }

    #[test]
    fn log_probs_match_naive(row in row(), t in temperature(), ln_z in 0.0_f64..14.0) {
        let m = naive::maximum(&row);
        for level in Level::available() {
            let mut out = vec![0.0; row.len()];
            simd::store_log_probs(level, &row, m, t, ln_z, &mut out);
            for (x, out) in row.iter().zip(out) {
                let wanted = ((f64::from(*x) - f64::from(m)) / t - ln_z) as f32;
                prop_assert_eq!(out.to_bits(), wanted.to_bits());
            }
        }
    }

    #[test]
    fn shares_match_naive(p in prop_oneof![0.0_f64..=1.0, 1e-9_f64..1e-6, Just(1.0)], s in 1_u64..=1 << 63) {
        prop_assert_eq!(law::share(p, s), naive::share(p, s));
    }
}

#[test]
fn the_largest_vocabulary_of_equal_logits_sums_to_2_to_the_63() {
    let row = vec![3.5; law::MAX_VOCAB];
    for level in Level::available() {
        assert_eq!(simd::sum_weights(level, &row, 3.5, law::scale_of(1.0)), 1 << 63);
    }
}

#[test]
fn a_share_of_a_subnormal_p_is_one() {
    assert_eq!(law::share(5e-324, 1 << 63), 1);
    assert_eq!(law::share(0.0, 1 << 63), 0);
}

#[test]
fn every_float_weight_rounds_half_to_even() {
    for (w, wanted) in [(0.5, 0), (1.5, 2), (2.5, 2), (3.5, 4), (0.75, 1), (8_796_093_022_208.0, 1 << 43)] {
        assert_eq!(law::integer_weight(w), wanted);
    }
}

#[test]
fn logarithms_are_within_two_units_of_the_library_s() {
    for i in 0..200_000 {
        let z = 1.0 + f64::from(i) * 5.242_88; // 1 .. 2**20
        let (ours, theirs) = (law::ln(z), z.ln());
        assert!((ours - theirs).abs() <= 2.0 * f64::EPSILON * theirs.max(1e-300), "ln {z}: {ours} {theirs}");
    }
}
