//! The nucleus of long rows: each tier is reached, and each gives the naive twin's set.

mod common;

use common::{at_every_level, naive, temperature};
use proptest::prelude::*;
use rheostat::nucleus::{self, InPlace, Tier};
use rheostat::scratch::Scratch;
use rheostat::survey::Survey;
use rheostat::{Knobs, Step, law};

/// A generator for rows too long for proptest to build and shrink.
struct Lcg(u64);

impl Lcg {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / 16_777_216.0
    }

    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

/// The tier, after its set has been compared with the twin's; and that of a survey whose maximum was guessed.
fn checked(row: &[f32], temperature: f64, p: f64) -> Tier {
    let mut scratch = Scratch::default();
    let guessed = Survey::of(row.into(), law::scale_of(temperature), &mut scratch.cells);
    checked_with(row, guessed, temperature, p, &mut scratch);
    checked_with(row, None, temperature, p, &mut scratch)
}

fn checked_with(
    row: &[f32],
    survey: Option<Survey>,
    temperature: f64,
    p: f64,
    scratch: &mut Scratch,
) -> Tier {
    let maximum = naive::maximum(row);
    let found = nucleus::keep(
        InPlace { logits: row.into(), maximum, scale: law::scale_of(temperature) },
        survey,
        p,
        scratch,
    );
    if let Some(cut) = found.cut {
        let Scratch { xs, ids, .. } = scratch;
        xs.clear();
        ids.clear();
        cut.gather(row, xs, ids);
        for (block, sum) in scratch.sums.iter().enumerate() {
            let kept = scratch.ids.iter().filter(|id| **id as usize / 1024 == block);
            let wanted: u64 =
                kept.map(|id| naive::integer_weight(row[*id as usize], maximum, temperature)).sum();
            assert_eq!(*sum, wanted, "block {block}");
        }
        assert_eq!(cut.mass, scratch.sums.iter().sum::<u64>());
    }
    let tier = found.tier;
    let knobs = Knobs { temperature, top_p: p, ..Knobs::default() };
    let (wanted, _) = naive::keep(row, &knobs, &[Step::Temperature, Step::TopP]);
    assert!(scratch.ids.iter().map(|id| *id as usize).eq(wanted), "{tier:?} at T = {temperature}, p = {p}");
    assert!(scratch.xs.iter().zip(&scratch.ids).all(|(x, id)| x.to_bits() == row[*id as usize].to_bits()));
    tier
}

#[test]
fn a_peaked_row_needs_the_interval_alone() {
    let mut random = Lcg(1);
    let mut row: Vec<f32> = (0..40_000).map(|_| random.normal() * 3.0).collect();
    row[1234] = 20.0;
    for p in [0.5, 0.9, 0.99] {
        assert_eq!(checked(&row, 0.8, p), Tier::Interval);
    }
}

#[test]
fn a_cut_inside_the_interval_asks_for_the_exact_sum() {
    // p is the share of a prefix to the last bit of a float64: no interval can tell on which side it falls.
    let mut random = Lcg(2);
    let row: Vec<f32> = (0..20_000).map(|_| random.normal() * 3.0).collect();
    let m = naive::maximum(&row);
    let mut weights: Vec<u64> = row.iter().map(|x| naive::integer_weight(*x, m, 0.8)).collect();
    weights.sort_unstable_by(|a, b| b.cmp(a));
    let z: u64 = weights.iter().sum();
    for size in [1, 3, 10, 40] {
        let p = weights[..size].iter().sum::<u64>() as f64 / z as f64;
        for p in [p.next_down(), p, p.next_up()] {
            assert_eq!(checked(&row, 0.8, p), Tier::Candidates);
        }
    }
}

#[test]
fn wide_nuclei_are_found_between_two_logits_of_a_sample() {
    let mut random = Lcg(3);
    let flat: Vec<f32> = (0..60_000).map(|_| random.normal()).collect();
    let coarse: Vec<f32> = flat.iter().map(|x| (x * 2.0).round()).collect();
    let mut peaked = flat.clone();
    peaked[5] = 15.0;
    for (row, p) in [(&flat, 0.9), (&coarse, 0.8), (&peaked, 0.999), (&vec![1.0; 50_000], 0.7)] {
        assert_eq!(checked(row, 1.5, p), Tier::Band, "p = {p}");
    }
}

#[test]
fn ties_at_the_bottom_are_a_band_of_one_value_unless_something_is_below() {
    let mut random = Lcg(7);
    let equal = vec![1.0; 50_000];
    let eight: Vec<f32> = (0..50_000).map(|_| (random.uniform() * 8.0).floor()).collect();
    for p in [0.999, 0.9999, 1.0 - 1e-9, 1.0 - f64::EPSILON / 2.0] {
        for t in [1.0, 3.0] {
            assert_eq!(checked(&equal, t, p), Tier::Band, "p = {p}");
            assert_eq!(checked(&eight, t, p), Tier::Band, "p = {p}");
        }
    }
    // A few below, which no sample is likely to meet, and the cut is among them.
    let mut low = equal;
    low[777..787].fill(0.5);
    assert_eq!(checked(&low, 1.0, 1.0 - 1e-9), Tier::All);
}

/// Whether a row is cut in this tier at every level, without a list of any tie of many.
fn checked_with_ties(row: &[f32], p: f64, tier: Tier) {
    at_every_level(|level| {
        let mut scratch = Scratch::default();
        for surveyed in [true, false] {
            let survey =
                surveyed.then(|| Survey::of(row.into(), law::scale_of(1.0), &mut scratch.cells)).flatten();
            assert_eq!(checked_with(row, survey, 1.0, p, &mut scratch), tier, "p = {p}, {level:?}");
            // What was weighed last is what was listed, or what the band held.
            assert!(
                scratch.weights.len() < row.len() / 12,
                "{} at p = {p}, {level:?}",
                scratch.weights.len()
            );
        }
    });
}

/// The shares of all logits above this one: the share itself, what is missed by next to nothing, and a little more.
fn shares_above(row: &[f32], logit: f32) -> impl Iterator<Item = f64> {
    let maximum = naive::maximum(row);
    let mass = |least: f32| {
        let kept = row.iter().filter(|x| **x > least);
        kept.map(|x| naive::integer_weight(*x, maximum, 1.0)).sum::<u64>() as f64
    };
    let p = mass(logit) / mass(f32::NEG_INFINITY);
    [p.next_down(), p, p.next_up(), p * 1.005].into_iter().filter(|p| *p < 1.0)
}

#[test]
fn ties_of_many_beside_a_cut_are_counted_and_not_listed() {
    let mut random = Lcg(9);
    // Half of the mass in distinct logits above a tie of all others.
    let mut row = vec![0.0; 60_000];
    row.iter_mut().step_by(64).for_each(|x| *x = 4.0 + random.uniform() * 0.3);
    shares_above(&row, 0.0).chain([0.6, 0.9]).for_each(|p| checked_with_ties(&row, p, Tier::Band));
    // Two of them with a few logits above, between and below.
    for (high, low) in [(1.0, 0.0), (1.0, 1.0_f32.next_down())] {
        let row: Vec<f32> = (0..60_000)
            .map(|_| match random.uniform() {
                u if u < 0.45 => high,
                u if u < 0.9 => low,
                _ => random.uniform() * 3.0 - 1.0,
            })
            .collect();
        for edge in [high.next_down(), low, low.next_down()] {
            shares_above(&row, edge).for_each(|p| checked_with_ties(&row, p, Tier::Band));
        }
    }
}

#[test]
fn a_list_ends_above_a_tie_of_many_that_it_need_not_hold() {
    // So few heavy logits that a sample cannot tell where among them the cut lies, above a tie of nearly all others.
    let mut row = vec![0.0_f32; 60_000];
    row.iter_mut().skip(7).step_by(50).for_each(|x| *x = -2.0);
    (0..200).for_each(|at| row[at * 300 + 5] = 6.0 + at as f32 * 1e-3);
    checked_with_ties(&row, 0.3, Tier::Interval);
}

#[test]
fn a_nucleus_of_a_tenth_is_listed_and_mostly_needs_the_interval_alone() {
    let mut random = Lcg(3);
    let row: Vec<f32> = (0..60_000).map(|_| random.normal()).collect();
    for p in [0.1, 0.2, 0.3] {
        assert_eq!(checked(&row, 1.5, p), Tier::Interval, "p = {p}");
    }
    let m = naive::maximum(&row);
    let mut weights: Vec<u64> = row.iter().map(|x| naive::integer_weight(*x, m, 1.5)).collect();
    weights.sort_unstable_by(|a, b| b.cmp(a));
    let p = weights[..6000].iter().sum::<u64>() as f64 / weights.iter().sum::<u64>() as f64;
    assert_eq!(checked(&row, 1.5, p), Tier::Candidates);
}

#[test]
fn a_peaked_row_that_begins_flat_or_forbidden_needs_the_interval_alone() {
    let mut random = Lcg(6);
    let row: Vec<f32> = (0..40_000).map(|_| random.normal() * 3.0).collect();
    for start in [0, 256, 1000, 3000] {
        for mut low in [row.clone(), row.iter().map(|x| x * 0.01).collect()] {
            low[..start].iter_mut().for_each(|x| *x = *x * 0.01 - 8.0);
            (start..40_000).step_by(4001).for_each(|at| low[at] = 20.0 + at as f32 * 1e-5);
            assert_eq!(checked(&low, 0.8, 0.9), Tier::Interval, "{start}");
            low[..start].fill(f32::NEG_INFINITY);
            assert_eq!(checked(&low, 0.8, 0.9), Tier::Interval, "{start}");
        }
    }
}

#[test]
fn a_p_next_to_1_lists_all_that_weighs_anything_where_that_is_little() {
    let mut random = Lcg(8);
    let mut row: Vec<f32> = (0..40_000).map(|_| random.normal() * 2.0 - 40.0).collect();
    row.iter_mut().step_by(10).for_each(|x| *x = *x * 2.0 + 66.0);
    for p in [1.0 - 1e-12, 1.0 - f64::EPSILON / 2.0] {
        assert_eq!(checked(&row, 0.8, p), Tier::Candidates, "p = {p}");
    }
}

#[test]
fn a_row_too_far_from_0_for_a_survey_has_its_exact_sum_taken() {
    let mut random = Lcg(5);
    let mut row: Vec<f32> = (0..30_000).map(|_| random.normal().round() + 1e7).collect();
    assert_eq!(checked(&row, 1.0, 0.9), Tier::Band);
    row[77] += 30.0;
    row[20_000] += 29.0;
    assert_eq!(checked(&row, 1.0, 0.9), Tier::Candidates);
}

#[test]
fn a_sample_that_misleads_leaves_the_whole_row() {
    // Low logits wherever the sample looks: in stretches of 16, at the places of its golden ratio.
    let (n, stretches, parts) = (65_536, 168, 4);
    let room = n / stretches;
    let mut random = Lcg(4);
    let mut row: Vec<f32> = (0..n).map(|_| random.normal()).collect();
    let mut place = 0_u32;
    for stretch in (0..parts).flat_map(|first| (first..stretches).step_by(parts)) {
        place = place.wrapping_add(0x9E37_79B9);
        let from = stretch * room + ((u64::from(place) * (room - 15) as u64) >> 32) as usize;
        row[from..from + 16].fill(-8.0);
    }
    for p in [0.9, 0.99] {
        assert_eq!(checked(&row, 1.5, p), Tier::All);
    }
    // With a survey it seems that nothing but the largest is kept; a sample from elsewhere knows better.
    let mut scratch = Scratch::default();
    let survey = Survey::of(row.as_slice().into(), law::scale_of(1.5), &mut scratch.cells);
    assert_eq!(checked_with(&row, survey, 1.5, 0.9, &mut scratch), Tier::Band);
    for x in &mut row {
        *x = x.round(); // ties
    }
    assert_eq!(checked(&row, 1.5, 0.9), Tier::All);
    assert_eq!(checked(&row[..100], 1.5, 0.9), Tier::All); // and so does a short row
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_tier_matches_naive(
        seed in any::<u64>(), n in 2048_usize..9000, spread in 0.0_f32..8.0, grain in 0_u32..4, t in temperature(),
        p in prop_oneof![1e-9_f64..1.0, 0.9_f64..1.0, Just(0.999_999)], masked in 0.0_f32..1.0, peak in 0.0_f32..30.0,
    ) {
        let mut random = Lcg(seed);
        let mut row: Vec<f32> = (0..n)
            .map(|_| {
                let x = random.normal() * spread;
                let x = if grain == 0 { x } else { (x * grain as f32).round() / grain as f32 };
                if random.uniform() < masked * masked { f32::NEG_INFINITY } else { x }
            })
            .collect();
        row[n / 3] = peak;
        checked(&row, t, p);
    }
}
