//! One token more of a sequence: from a row and the state to a token, without a change; and the change.
//!
//! That a draw changes nothing makes a failing call harmless, lets the rows of a batch be drawn side by side,
//! and lets all of them wait for the last before any moves on.

use crate::adjust::{Shaped, Shaping};
use crate::chain::{self, Kept};
use crate::mirostat::Mirostat;
use crate::report::{self, Drawn, Wanted};
use crate::rng;
use crate::row::{Row, Standing};
use crate::scratch::Scratch;
use crate::simd::Logits;
use crate::state::State;
use crate::{Error, Knobs, Step};

/// What acts on a sequence until it is told otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Masks, biases, penalties.
    pub shaping: Shaping,
    /// The filters' knobs, which [`Knobs::check`] accepts.
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
    pub logits: Logits<'a>,
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

    /// The scale at which top-p, or the draw, is the first to look at a row, if it is.
    fn first_scale(&self, knobs: &Knobs) -> Option<f32>;

    /// Runs it over what is kept; `mu` is mirostat's, where that is on.
    ///
    /// # Errors
    /// Whatever a step of the caller's own may say.
    fn run(&self, kept: &mut Kept<'_>, knobs: &Knobs, mu: Option<f64>) -> Result<(), Self::Error>;
}

/// Mirostat comes last.
impl Chain for [Step] {
    type Error = Error;

    fn first_scale(&self, knobs: &Knobs) -> Option<f32> {
        chain::first_scale(self.iter().copied(), knobs)
    }

    fn run(&self, kept: &mut Kept<'_>, knobs: &Knobs, mu: Option<f64>) -> Result<(), Error> {
        for step in self {
            kept.take(*step, knobs);
        }
        if let Some(mu) = mu {
            kept.keep_unsurprising(mu);
        }
        Ok(())
    }
}

/// `work` on what the chain keeps of the row. `words` are the chance of this place.
///
/// # Errors
/// Those of [`Shaping::apply`], [`Row::check`] and the chain.
pub fn keep<C: Chain + ?Sized, R>(
    rules: &Rules,
    chain: &C,
    state: &State,
    turn: Turn<'_>,
    words: [u64; 4],
    (shaped, scratch): (&mut Shaped, &mut Scratch),
    work: impl FnOnce(Kept<'_>) -> R,
) -> Result<R, C::Error> {
    let standing = shape(rules, state, turn, shaped)?;
    let knobs = rules.knobs_at(words);
    let result =
        read(standing.row(), turn.at, chain, &knobs, scratch).map_err(C::Error::from).and_then(|mut kept| {
            chain.run(&mut kept, &knobs, state.mu)?;
            Ok(work(kept))
        });
    shaped.wide = standing.into_buffer();
    result
}

/// The next token, and of it what is wanted.
///
/// ```
/// use rheostat::adjust::Shaped;
/// use rheostat::history::History;
/// use rheostat::sampler::{Rules, Turn, accept, draw};
/// use rheostat::scratch::Scratch;
/// use rheostat::simd::Logits;
/// use rheostat::state::{Saved, State};
/// use rheostat::{Knobs, Step};
///
/// let row = [2.0, 1.0, 0.5, 0.2, -1.0, -3.0]; // a model gives another one after each token
/// let knobs = Knobs { temperature: 0.8, top_p: 0.9, ..Knobs::default() };
/// let rules = Rules { knobs, ..Rules::default() };
/// let chain = [Step::Temperature, Step::TopP];
/// let saved = Saved { history: History::new(&[3, 1], &[]), seed: 42, stream: 0, mu: None };
/// let mut state = State::new(saved, rules.shaping.needs(), rules.mirostat, row.len());
/// let (mut shaped, mut scratch) = (Shaped::default(), Scratch::default());
/// for _ in 0..8 {
///     let turn = Turn { logits: Logits::F32(&row), at: 0, bitmask: None, kept: false };
///     let drawn = draw(&rules, chain.as_slice(), &state, turn, &mut shaped, &mut scratch)?;
///     accept(&rules, &mut state, &drawn); // moves on to the next position
/// }
/// assert_eq!(state.history().output(), [1, 0, 1, 0, 2, 2, 1, 0]);
/// # Ok::<(), rheostat::Error>(())
/// ```
///
/// # Errors
/// Those of [`keep`]; and where the row as it came is to be told of and is none, what [`Row::check`] says.
pub fn draw<C: Chain + ?Sized>(
    rules: &Rules,
    chain: &C,
    state: &State,
    turn: Turn<'_>,
    shaped: &mut Shaped,
    scratch: &mut Scratch,
) -> Result<Drawn, C::Error> {
    let words = rng::words(state.seed, state.stream, state.position());
    let vocab = state.vocab_size().min(turn.logits.len());
    let given = Standing::plain(turn.logits.part(0, vocab), std::mem::take(&mut scratch.given));
    let standing = shape(rules, state, turn, shaped)?;
    // Where nothing acts the two are the same, and one copy serves both.
    let given_row = if rules.acts_on(turn) { given.row() } else { standing.row() };
    let result = draw_from(rules, chain, state, turn, words, (given_row, standing.row()), scratch);
    shaped.wide = standing.into_buffer();
    scratch.given = given.into_buffer();
    result
}

/// The next token from the row as it came and as it was shaped.
fn draw_from<C: Chain + ?Sized>(
    rules: &Rules,
    chain: &C,
    state: &State,
    turn: Turn<'_>,
    words: [u64; 4],
    (given, shaped): (Row<'_>, Row<'_>),
    scratch: &mut Scratch,
) -> Result<Drawn, C::Error> {
    let knobs = rules.knobs_at(words);
    let mut kept = read(shaped, turn.at, chain, &knobs, scratch)?;
    let maximum = kept.maximum();
    let given_maximum = if rules.wanted.reads_given() && rules.acts_on(turn) {
        given.check().map_err(|error| error.in_row(turn.at))?
    } else {
        maximum
    };
    chain.run(&mut kept, &knobs, state.mu)?;
    let wanted = Wanted { kept: turn.kept, surprise: rules.mirostat.is_some(), ..rules.wanted };
    let before = report::Before { given, given_maximum, shaped, maximum };
    Ok(report::draw(kept, before, knobs.temperature == 0.0, words[rng::TOKEN], &wanted))
}

impl Rules {
    /// The knobs where chance has decided whether XTC acts.
    fn knobs_at(&self, words: [u64; 4]) -> Knobs {
        self.knobs.with_xtc(rng::opens(words[rng::XTC], self.knobs.xtc_probability))
    }

    /// Whether a mask, a bias or a penalty acts on this row.
    fn acts_on(&self, turn: Turn<'_>) -> bool {
        turn.bitmask.is_some() || !self.shaping.is_none(turn.logits.len())
    }
}

/// The row after masks, biases and penalties.
fn shape<'a>(
    rules: &Rules,
    state: &State,
    turn: Turn<'a>,
    shaped: &'a mut Shaped,
) -> Result<Standing<'a>, Error> {
    if rules.acts_on(turn) {
        rules.shaping.apply(state.moment(turn.bitmask), turn.logits, turn.at, shaped)
    } else {
        Ok(Standing::plain(turn.logits, std::mem::take(&mut shaped.wide)))
    }
}

/// All of the row, before the chain.
fn read<'a, C: Chain + ?Sized>(
    row: Row<'a>,
    at: usize,
    chain: &C,
    knobs: &Knobs,
    scratch: &'a mut Scratch,
) -> Result<Kept<'a>, Error> {
    Kept::read(row, chain.first_scale(knobs), scratch).map_err(|error| error.in_row(at))
}

/// Moves on by a token that was drawn.
pub fn accept(rules: &Rules, state: &mut State, drawn: &Drawn) {
    if let (Some(mirostat), Some(mu), Some(surprise)) = (rules.mirostat, state.mu, drawn.surprise) {
        state.mu = Some(mirostat.follow(mu, surprise));
    }
    state.accept(drawn.id);
}
