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

/// What the chain keeps of the row. `words` are the chance of this place; `shaped` is a buffer.
///
/// # Errors
/// Those of [`Shaping::apply`], [`law::check_row`] and the chain.
pub fn keep<'a, C: Chain + ?Sized>(
    rules: &Rules,
    chain: &C,
    state: &State,
    turn: Turn<'a>,
    words: [u64; 4],
    shaped: &'a mut Vec<f32>,
    scratch: &'a mut Scratch,
) -> Result<Kept<'a>, C::Error> {
    let x = shape(rules, state, turn, shaped)?;
    let knobs = rules.knobs_at(words);
    let mut kept = read(x, turn.at, chain, &knobs, scratch)?;
    chain.run(&mut kept, &knobs, state.mu)?;
    Ok(kept)
}

/// The next token, and of it what is wanted.
///
/// # Errors
/// Those of [`keep`]; and where the row as it came is to be told of and is none, what [`law::check_row`] says.
pub fn draw<C: Chain + ?Sized>(
    rules: &Rules,
    chain: &C,
    state: &State,
    turn: Turn<'_>,
    shaped: &mut Vec<f32>,
    scratch: &mut Scratch,
) -> Result<Drawn, C::Error> {
    let words = rng::words(state.seed, state.stream, state.position());
    let x = shape(rules, state, turn, shaped)?;
    let knobs = rules.knobs_at(words);
    let mut kept = read(x, turn.at, chain, &knobs, scratch)?;
    let maximum = kept.maximum();
    let given = &turn.row[..state.vocab_size().min(turn.row.len())];
    let reads_another = rules.wanted.reads_given() && !std::ptr::eq(x, turn.row);
    let given_maximum = match reads_another {
        true => law::check_row(given).map_err(|error| error.in_row(turn.at))?,
        false => maximum,
    };
    chain.run(&mut kept, &knobs, state.mu)?;
    let wanted = Wanted { kept: turn.kept, surprise: rules.mirostat.is_some(), ..rules.wanted };
    let row = Row { given, given_maximum, shaped: x, maximum };
    Ok(report::draw(kept, row, knobs.temperature == 0.0, words[rng::TOKEN], &wanted))
}

impl Rules {
    /// The knobs where chance has decided whether XTC acts.
    fn knobs_at(&self, words: [u64; 4]) -> Knobs {
        self.knobs.with_xtc(rng::opens(words[rng::XTC], self.knobs.xtc_probability))
    }
}

/// The row after masks, biases and penalties.
fn shape<'a>(
    rules: &Rules,
    state: &State,
    turn: Turn<'a>,
    shaped: &'a mut Vec<f32>,
) -> Result<&'a [f32], Error> {
    let Turn { row, at, bitmask, .. } = turn;
    if bitmask.is_none() && rules.shaping.is_none(row.len()) {
        return Ok(row);
    }
    rules.shaping.apply(state.moment(bitmask), row, at, shaped)?;
    Ok(shaped)
}

/// All of the row, before the chain.
fn read<'a, C: Chain + ?Sized>(
    x: &'a [f32],
    at: usize,
    chain: &C,
    knobs: &Knobs,
    scratch: &'a mut Scratch,
) -> Result<Kept<'a>, Error> {
    Kept::read(x, chain.first_top_p(knobs), scratch).map_err(|error| error.in_row(at))
}

/// Moves on by a token that was drawn.
pub fn accept(rules: &Rules, state: &mut State, drawn: &Drawn) {
    if let (Some(mirostat), Some(mu), Some(surprise)) = (rules.mirostat, state.mu, drawn.surprise) {
        state.mu = Some(mirostat.follow(mu, surprise));
    }
    state.accept(drawn.id);
}
