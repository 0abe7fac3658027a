//! One token more of a sequence: from a row and the state to a token, without a change; and the change.
//!
//! That a draw changes nothing makes a failing call harmless, lets the rows of a batch be drawn side by side,
//! and lets all of them wait for the last before any moves on.

use crate::adjust::Shaping;
use crate::chain::Kept;
use crate::mirostat::Mirostat;
use crate::report::{self, Drawn, Row, Wanted};
use crate::rng;
use crate::scratch::Scratch;
use crate::state::State;
use crate::{Error, Knobs, law};

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

/// What the chain keeps of the row. `words` are the chance of this place; `run` runs the chain over what is given
/// to it; `shaped` is a buffer.
///
/// # Errors
/// Those of [`Shaping::apply`], [`law::check_row`] and `run`.
pub fn keep<'a, E: From<Error>>(
    rules: &Rules,
    state: &State,
    turn: Turn<'a>,
    words: [u64; 4],
    shaped: &'a mut Vec<f32>,
    scratch: &'a mut Scratch,
    run: impl FnOnce(&mut Kept<'_>, &Knobs) -> Result<(), E>,
) -> Result<Kept<'a>, E> {
    let (x, maximum) = shape(rules, state, turn, shaped)?;
    filter(rules, (x, maximum), words, scratch, run)
}

/// The next token, and of it what is wanted.
///
/// # Errors
/// Those of [`keep`]; and where the row as it came is to be told of and is none, what [`law::check_row`] says.
pub fn draw<E: From<Error>>(
    rules: &Rules,
    state: &State,
    turn: Turn<'_>,
    shaped: &mut Vec<f32>,
    scratch: &mut Scratch,
    run: impl FnOnce(&mut Kept<'_>, &Knobs) -> Result<(), E>,
) -> Result<Drawn, E> {
    let (x, maximum) = shape(rules, state, turn, shaped)?;
    let given = &turn.row[..state.vocab_size().min(turn.row.len())];
    let reads_another = rules.wanted.reads_given() && !std::ptr::eq(x, turn.row);
    let given_maximum = if reads_another { check(given, turn.at)? } else { maximum };
    let words = rng::words(state.seed, state.stream, state.position());
    let kept = filter(rules, (x, maximum), words, scratch, run)?;
    let wanted = Wanted { kept: turn.kept, surprise: rules.mirostat.is_some(), ..rules.wanted };
    let row = Row { given, given_maximum, shaped: x, maximum };
    Ok(report::draw(kept, row, rules.knobs.temperature == 0.0, words[rng::TOKEN], &wanted))
}

/// The row after masks, biases and penalties, and its maximum.
fn shape<'a>(
    rules: &Rules,
    state: &State,
    turn: Turn<'a>,
    shaped: &'a mut Vec<f32>,
) -> Result<(&'a [f32], f32), Error> {
    let Turn { row, at, bitmask, .. } = turn;
    let x = if bitmask.is_none() && rules.shaping.is_none(row.len()) {
        row
    } else {
        rules.shaping.apply(state.moment(bitmask), row, at, shaped)?;
        shaped.as_slice()
    };
    Ok((x, check(x, at)?))
}

fn check(row: &[f32], at: usize) -> Result<f32, Error> {
    law::check_row(row).map_err(|error| error.in_row(at))
}

/// What the chain keeps of a row with this maximum.
fn filter<'a, E>(
    rules: &Rules,
    (x, maximum): (&'a [f32], f32),
    words: [u64; 4],
    scratch: &'a mut Scratch,
    run: impl FnOnce(&mut Kept<'_>, &Knobs) -> Result<(), E>,
) -> Result<Kept<'a>, E> {
    let knobs = rules.knobs.with_xtc(rng::opens(words[rng::XTC], rules.knobs.xtc_probability));
    let mut kept = Kept::whole(x, maximum, scratch);
    run(&mut kept, &knobs)?;
    Ok(kept)
}

/// Moves on by a token that was drawn.
pub fn accept(rules: &Rules, state: &mut State, drawn: &Drawn) {
    if let (Some(mirostat), Some(mu), Some(surprise)) = (rules.mirostat, state.mu, drawn.surprise) {
        state.mu = Some(mirostat.follow(mu, surprise));
    }
    state.accept(drawn.id);
}
