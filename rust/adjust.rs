//! What comes before a chain, for one row: masks first, then biases and penalties.
//!
//! The row is copied once, under its masks, and then a few tokens are changed. What is wrong is told in the
//! order of the law: masks that leave nothing, a logit that is none (of a token that may come), a bias or a
//! penalty that makes one infinite, penalties that take the last token.

use crate::Error;
use crate::history::History;
use crate::law;
use crate::masks::Masks;
use crate::memory::{Memory, Moment, Needs};
use crate::penalties::{Penalties, Stopped};

/// Masks, biases and penalties. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shaping {
    /// Tokens that may not come.
    pub masks: Masks,
    /// What moves logits.
    pub penalties: Penalties,
}

/// One row's masks, biases and penalties, and the history that they look at. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adjustment {
    shaping: Shaping,
    history: History,
}

impl Adjustment {
    /// All of them together.
    #[must_use]
    pub fn new(masks: Masks, penalties: Penalties, history: History) -> Self {
        Self { shaping: Shaping { masks, penalties }, history }
    }

    /// What acts, without the history.
    #[must_use]
    pub fn into_shaping(self) -> Shaping {
        self.shaping
    }

    /// Whether there is nothing to do to a row of this width: it is used as it is.
    #[must_use]
    pub fn is_none(&self, width: usize) -> bool {
        self.shaping.is_none(width)
    }

    /// [`Shaping::apply`] with what the history says.
    ///
    /// # Errors
    /// The same.
    pub fn apply(&self, row: &[f32], at_row: usize, out: &mut Vec<f32>) -> Result<(), Error> {
        let memory = Memory::for_one_call(&self.history, self.shaping.needs(), row.len());
        let moment = Moment { history: &self.history, memory: &memory, bitmask: None };
        self.shaping.apply(moment, row, at_row, out)
    }
}

impl Shaping {
    /// Whether there is nothing to do to a row of this width: it is used as it is.
    #[must_use]
    pub fn is_none(&self, width: usize) -> bool {
        self.masks.is_none(width) && self.penalties.is_none()
    }

    /// What they need to know of a history.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let Penalties { repetition_penalty, penalty_last_n, .. } = self.penalties;
        Needs {
            repeated: repetition_penalty as f32 != 1.0,
            counted: self.penalties.count_something(),
            last_n: penalty_last_n,
            ngram: self.masks.no_repeat_ngram_size,
        }
    }

    /// Writes the row's logits after masks, biases and penalties into `out`, which gets the row's length.
    ///
    /// The logits that no penalty touches are not checked: a NaN, `+inf`, or no finite logit is found by
    /// [`law::check_row`] in what was written, with the error that the row itself would give. A finite float64
    /// that is none as a float32 comes as `+inf`: where its token is forbidden it is not read.
    ///
    /// # Errors
    /// [`Error::NothingLeft`], [`Error::Infinite`], or what [`law::check_row`] says of the masked row.
    pub fn apply(
        &self,
        moment: Moment<'_>,
        row: &[f32],
        at_row: usize,
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        self.masks.apply(moment, row, at_row, out)?;
        if self.penalties.is_none() {
            return Ok(());
        }
        let stopped = match self.penalties.apply(moment, out) {
            Ok(takers) if takers.is_empty() || out.iter().any(|x| *x != f32::NEG_INFINITY) => return Ok(()),
            Ok(takers) => {
                let (_, mut names) = self.masks.left(moment, row.len(), at_row)?;
                names.extend(takers);
                return Err(Error::NothingLeft { names, row: at_row });
            }
            Err(stopped) => stopped,
        };
        self.masks.apply(moment, row, at_row, out)?;
        law::check_row(out).map_err(|error| error.in_row(at_row))?;
        match stopped {
            Stopped::Infinite { argument, value, token } => {
                Err(Error::Infinite { argument, value, row: at_row, token })
            }
            Stopped::BadRow => Ok(()), // never: the row was just found good
        }
    }
}
