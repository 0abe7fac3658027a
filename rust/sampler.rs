//! One token more of a sequence: from a row and the state to a token, without a change; and the change.
//!
//! That a draw changes nothing makes a failing call harmless, lets the rows of a batch be drawn side by side,
//! and lets all of them wait for the last before any moves on.

use crate::adjust::Shaping;
use crate::chain::{self, Kept};
use crate::mirostat::Mirostat;
use crate::report::{self, Drawn, Row, Wanted};
use crate::rng;
use crate::scratch::Scratch;
use crate::state::State;
use crate::{Error, Knobs, Step, law};

/// What acts on a sequence until it is told otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Masks, biases, penalties.
    pub shaping: Shaping,
    /// The filters' knobs.
    pub knobs: Knobs,
    /// Mirostat's, where it is on.
    pub mirostat: Option<Mirostat>,
    /// What is told of a token.
    pub wanted: Wanted,
}

/// A row for a sequence.
#[derive(Clone, Copy)]
pub struct Turn<'a> {
    /// The logits, at least as many as the vocabulary has tokens.
    pub row: &'a [f32],
    /// Its place in the batch.
    pub at: usize,
    /// A bitmask for this token.
    pub bitmask: Option<&'a [i32]>,
    /// Whether the kept set is told as well.
    pub kept: bool,
}

/// The filters of a sequence, in their order.
pub trait Chain {
    /// Why it could not be run.
    type Error: From<Error>;

    /// The scale at which top-p is the first to look at a row, if it is.
    fn first_top_p(&self, knobs: &Knobs) -> Option<f32>;

    /// Runs it over what is kept; `mu` is mirostat's, where that is on.
    ///
    /// # Errors
    /// Whatever a step of the caller's own may say.
    fn run(&self, kept: &mut Kept<'_>, knobs: &Knobs, mu: Option<f64>) -> Result<(), Self::Error>;
}

/// Mirostat comes last.
impl Chain for [Step] {
    type Error = Error;

    fn first_top_p(&self, knobs: &Knobs) -> Option<f32> {
        chain::first_top_p(self.iter().copied(), knobs)
    }

    fn run(&self, kept: &mut Kept<'_>, knobs: &Knobs, mu: Option<f64>) -> Result<(), Error> {
        self.iter().for_each(|step| kept.take(*step, knobs));
        mu.into_iter().for_each(|mu| kept.keep_unsurprising(mu));
        Ok(())
    }
}

/// The next token; `shaped` is a buffer.
///
/// # Errors
/// Those of [`Shaping::apply`], [`law::check_row`] and the chain.
pub fn draw<C: Chain + ?Sized>(
    rules: &Rules,
    chain: &C,
    state: &State,
    turn: Turn<'_>,
    shaped: &mut Vec<f32>,
    scratch: &mut Scratch,
) -> Result<Drawn, C::Error> {
    let Turn { row, at, bitmask, kept: tells_kept } = turn;
    let given = &row[..state.vocab_size().min(row.len())];
    let is_shaped = bitmask.is_some() || !rules.shaping.is_none(row.len());
    let x = if is_shaped {
        rules.shaping.apply(state.moment(bitmask), row, at, shaped)?;
        shaped.as_slice()
    } else {
        row
    };
    let words = rng::words(state.seed, state.stream, state.position());
    let knobs = rules.knobs.with_xtc(rng::opens(words[rng::XTC], rules.knobs.xtc_probability));
    let in_row = |error: Error| error.in_row(at);
    let mut kept = Kept::read(x, chain.first_top_p(&knobs), scratch).map_err(in_row)?;
    let maximum = kept.maximum();
    let given_maximum = match is_shaped && rules.wanted.reads_given() {
        true => law::check_row(given).map_err(in_row)?,
        false => maximum,
    };
    chain.run(&mut kept, &knobs, state.mu)?;
    let wanted = Wanted { kept: tells_kept, surprise: rules.mirostat.is_some(), ..rules.wanted };
    let row = Row { given, given_maximum, shaped: x, maximum };
    Ok(report::draw(kept, row, knobs.temperature == 0.0, words[rng::TOKEN], &wanted))
}

/// Moves on by a token that was drawn.
pub fn accept(rules: &Rules, state: &mut State, drawn: &Drawn) {
    if let (Some(mirostat), Some(mu), Some(surprise)) = (rules.mirostat, state.mu, drawn.surprise) {
        state.mu = Some(mirostat.follow(mu, surprise));
    }
    state.accept(drawn.id);
}
