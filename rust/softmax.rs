//! `softmax` and `log_softmax` of a row with a temperature.

use crate::law;
use crate::simd::{self, Level};

/// Writes p = w * float32(2**43 / Z) into `out`, of the row's length. One-hot at temperature 0.
/// `maximum` is what [`law::check_row`] gave, the temperature within [`crate::knobs::TEMPERATURE`].
///
/// # Panics
/// Where `out` is not as long as the row.
///
/// ```
/// let row = [1.0_f32, 0.0, f32::NEG_INFINITY];
/// let mut out = [0.0; 3];
/// rheostat::softmax::softmax(&row, rheostat::law::check_row(&row)?, 1.0, &mut out);
/// assert_eq!(out, [0.731_058_54, 0.268_941_43, 0.0]);
/// # Ok::<(), rheostat::Error>(())
/// ```
pub fn softmax(row: &[f32], maximum: f32, temperature: f64, out: &mut [f32]) {
    assert_eq!(row.len(), out.len(), "out must be as long as the row");
    if temperature == 0.0 {
        return one_hot(row, maximum, (1.0, 0.0), out);
    }
    let level = Level::current();
    let z = simd::store_and_sum_weights(level, row, maximum, law::scale_of(temperature), out);
    // w * float32(2**43 / Z), with w = v * 2**-43: the power of two changes no rounding.
    simd::multiply(level, out, (law::UNIT as f64 / z as f64) as f32 / law::UNIT as f32);
}

/// Writes ln p = (x - m) / T - ln(Z / 2**43), in float64 and rounded once, into `out`. 0 for the first token
/// and -inf elsewhere at temperature 0. `maximum` and `temperature` as for [`softmax`].
///
/// # Panics
/// Where `out` is not as long as the row.
///
/// ```
/// let row = [1.0_f32, 0.0, f32::NEG_INFINITY];
/// let mut out = [0.0; 3];
/// rheostat::softmax::log_softmax(&row, rheostat::law::check_row(&row)?, 1.0, &mut out);
/// assert_eq!(out, [-0.313_261_72, -1.313_261_7, f32::NEG_INFINITY]);
/// # Ok::<(), rheostat::Error>(())
/// ```
pub fn log_softmax(row: &[f32], maximum: f32, temperature: f64, out: &mut [f32]) {
    assert_eq!(row.len(), out.len(), "out must be as long as the row");
    if temperature == 0.0 {
        return one_hot(row, maximum, (0.0, f32::NEG_INFINITY), out);
    }
    let level = Level::current();
    let z = simd::sum_weights(level, row, maximum, law::scale_of(temperature));
    simd::store_log_probs(level, row, maximum, temperature, law::ln(z as f64 / law::UNIT as f64), out);
}

/// `hot` for the first token in the law's order, `cold` for the others.
fn one_hot(row: &[f32], maximum: f32, (hot, cold): (f32, f32), out: &mut [f32]) {
    out.fill(cold);
    if let Some(first) = row.iter().position(|x| *x == maximum) {
        out[first] = hot;
    }
}
