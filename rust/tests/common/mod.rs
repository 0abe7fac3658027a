//! What the tests share: the naive twins and rows of every nasty kind.

#![allow(dead_code)] // each test binary uses its part

pub mod adjust;
pub mod naive;
pub mod standing;
pub mod stop;

use proptest::prelude::*;
use rheostat::simd::Level;
use std::sync::{Mutex, PoisonError};

/// The level is the process's: one test at a time moves it.
pub fn at_every_level(mut check: impl FnMut(Level)) {
    static LEVEL: Mutex<()> = Mutex::new(());
    let _guard = LEVEL.lock().unwrap_or_else(PoisonError::into_inner);
    let before = Level::current();
    for level in Level::available() {
        level.make_current();
        check(level);
    }
    before.make_current();
}

/// Lengths around lane borders and block borders, and any others up to 3000.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        prop::sample::select(vec![
            1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025
        ]),
        1_usize..3000,
    ]
}

/// Rows of logits with a finite maximum: smooth, few-valued, flat, one-hot, masked, huge, subnormal.
pub fn row() -> impl Strategy<Value = Vec<f32>> {
    length().prop_flat_map(|n| {
        let any = prop_oneof![
            prop::collection::vec(-20.0_f32..20.0, n),
            prop::collection::vec((-8_i8..8).prop_map(|k| f32::from(k) * 0.25), n),
            prop::collection::vec(prop_oneof![Just(f32::NEG_INFINITY), -3.0_f32..3.0], n),
            prop::collection::vec(-1e38_f32..1e38, n),
            prop::collection::vec((0_u32..1000).prop_map(f32::from_bits), n),
            prop::collection::vec(prop_oneof![Just(0.0_f32), Just(-0.0)], n),
            (prop::collection::vec(-30.0_f32..0.0, n), 0..n).prop_map(|(mut row, hot)| {
                row[hot] = 25.0;
                row
            }),
            (-1000.0_f32..1000.0).prop_map(move |x| vec![x; n]),
        ];
        (any, 0..n).prop_map(|(mut row, finite)| {
            if naive::maximum(&row) == f32::NEG_INFINITY {
                row[finite] = 1.0;
            }
            row
        })
    })
}

/// Temperatures over the whole range, the usual ones more often.
pub fn temperature() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => prop::sample::select(vec![0.3, 0.7, 0.8, 1.0, 1.5, 2.0]),
        2 => (-3.0_f64..3.0).prop_map(|e| 10_f64.powf(e)),
        1 => prop::sample::select(vec![1e-30, 1e-3, 100.0, 1e30]),
    ]
}
