//! The chain: filters in an order, each working on what the ones before it have kept.
//!
//! Between steps there are the kept tokens' logits in id order and the temperature applied so far (1 before
//! its place). As a filter sees nothing else, `sample(top_p(x, p))` is `sample(x, top_p = p)`, bit for bit.

mod kept;
mod steps;

pub use kept::Kept;

use crate::law;
use crate::scratch::Scratch;
use crate::{Error, Knobs, Step};

/// Runs the chain over a row.
///
/// # Errors
/// Those of [`Knobs::check`] and [`law::check_row`].
pub fn keep<'a>(
    row: &'a [f32],
    knobs: &Knobs,
    chain: &[Step],
    scratch: &'a mut Scratch,
) -> Result<Kept<'a>, Error> {
    knobs.check()?;
    let mut kept = Kept::read(row.into(), first_scale(chain.iter().copied(), knobs), scratch)?;
    for step in chain {
        kept.take(*step, knobs);
    }
    Ok(kept)
}

/// The scale at which top-p, or the draw, is the first to look at the row, if it is.
#[must_use]
pub fn first_scale(chain: impl IntoIterator<Item = Step>, knobs: &Knobs) -> Option<f32> {
    let mut temperature = 1.0;
    for step in chain.into_iter().filter(|step| step.is_set(knobs)) {
        match step {
            Step::Temperature if knobs.temperature > 0.0 => temperature = knobs.temperature,
            Step::TopP => return Some(law::scale_of(temperature)),
            _ => return None,
        }
    }
    Some(law::scale_of(temperature))
}

/// [`keep`] for a row whose maximum [`law::check_row`] has given, and knobs that [`Knobs::check`] accepts.
#[must_use]
pub fn keep_checked<'a>(
    row: &'a [f32],
    maximum: f32,
    knobs: &Knobs,
    chain: &[Step],
    scratch: &'a mut Scratch,
) -> Kept<'a> {
    let mut kept = Kept::whole(row.into(), maximum, scratch);
    for step in chain {
        kept.take(*step, knobs);
    }
    kept
}
