//! Speculative decoding's arithmetic against a twin that takes every product apart, and its distribution.

use rheostat::rng;
use rheostat::verify::{Distribution, verify};

fn kept(tokens: &[(u32, u64)]) -> Distribution {
    Distribution {
        ids: tokens.iter().map(|(id, _)| *id).collect(),
        weights: tokens.iter().map(|(_, weight)| *weight).collect(),
        sum: tokens.iter().map(|(_, weight)| weight).sum(),
    }
}

/// A number as 32-bit digits, lowest first: schoolbook arithmetic, slow and plain.
fn product(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut digits = vec![0_u32; a.len() + b.len()];
    for (i, x) in a.iter().enumerate() {
        let mut carry = 0_u64;
        for (j, y) in b.iter().enumerate() {
            let sum = u64::from(*x) * u64::from(*y) + u64::from(digits[i + j]) + carry;
            digits[i + j] = sum as u32;
            carry = sum >> 32;
        }
        digits[i + b.len()] = carry as u32;
    }
    digits
}

fn digits(n: u64) -> Vec<u32> {
    vec![n as u32, (n >> 32) as u32]
}

/// u * (wq * sp) < 2**64 * (wp * sq), by digits.
fn accepts(u: u64, wp: u64, sp: u64, wq: u64, sq: u64) -> bool {
    let left = product(&digits(u), &product(&digits(wq), &digits(sp)));
    let right = product(&[0, 0, 1, 0], &product(&digits(wp), &digits(sq)));
    let length = left.len().max(right.len());
    let at = |number: &[u32], i: usize| number.get(i).copied().unwrap_or(0);
    (0..length).rev().find(|i| at(&left, *i) != at(&right, *i)).is_some_and(|i| at(&left, i) < at(&right, i))
}

#[test]
fn acceptance_is_the_exact_comparison() {
    for i in 0..20_000 {
        let [a, b, c, d] = rng::words(5, 0, i);
        let (wq, wp) = ((a >> 21).max(1), b >> (21 + i % 40)); // up to 2**43
        let (sq, sp) = (wq + (c >> 2), wp + (d >> 2)); // up to 2**62 and more
        let draft = kept(&[(3, wq), (7, sq - wq)]);
        let target = kept(&[(3, wp), (9, sp - wp)]);
        // on the border itself: the least u that is refused, and the one before it
        let border = (u128::from(wp) * u128::from(sq)) as f64 / (u128::from(wq) * u128::from(sp)) as f64;
        let near = (border.min(1.0) * 2.0_f64.powi(64)) as u64;
        for u in [a ^ d, 0, u64::MAX, near, near.saturating_sub(1), near.saturating_add(1)] {
            let stays = verify(3, &draft, &target, [0, 0, u, 0]) == Some(3);
            assert_eq!(stays, accepts(u, wp, sp, wq, sq), "{u} {wp} {sp} {wq} {sq}");
        }
    }
}

#[test]
fn a_token_that_the_draft_does_not_keep_is_none() {
    assert_eq!(verify(4, &kept(&[(3, 1)]), &kept(&[(4, 1)]), [0; 4]), None);
}

#[test]
fn a_token_of_weight_0_was_not_drawn_and_is_none() {
    let both = kept(&[(0, 1 << 43), (1, 0), (2, 0)]);
    for token in [1, 2] {
        assert_eq!(verify(token, &both, &both, [0; 4]), None);
    }
}

#[test]
fn what_comes_out_is_distributed_as_the_target() {
    const DRAWS: u64 = 200_000;
    let target = kept(&[(0, 50), (2, 30), (3, 15), (6, 5)]);
    let draft = kept(&[(0, 20), (1, 40), (3, 35), (6, 5)]);
    let mut counts = [0_u64; 7];
    for position in 0..DRAWS {
        let mut rest = rng::words(1, 1, position)[0] % draft.sum;
        let mut at = 0;
        while rest >= draft.weights[at] {
            rest -= draft.weights[at];
            at += 1;
        }
        let token = verify(draft.ids[at], &draft, &target, rng::words(1, 0, position));
        counts[token.map_or(1, |token| token as usize)] += 1;
    }
    assert_eq!(counts[1] + counts[4] + counts[5], 0);
    // chi-squared with 3 degrees of freedom: above 21.1 with a probability of 1e-4
    let chi: f64 = target
        .ids
        .iter()
        .zip(&target.weights)
        .map(|(id, weight)| {
            let expected = DRAWS as f64 * *weight as f64 / target.sum as f64;
            (counts[*id as usize] as f64 - expected).powi(2) / expected
        })
        .sum();
    assert!(chi < 21.1, "{chi} {counts:?}");
}

#[test]
fn the_largest_sums_do_not_overflow() {
    let unit = 1_u64 << 43;
    let most = 1_u64 << 62;
    let draft = Distribution { ids: vec![0, 1], weights: vec![unit, 0], sum: most };
    let target = Distribution { ids: vec![0, 1], weights: vec![0, unit], sum: most };
    assert_eq!(verify(0, &draft, &target, [0, 0, 0, u64::MAX]), Some(1));
}
