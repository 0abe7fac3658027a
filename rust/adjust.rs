//! What comes before a chain, for one row: masks first, then biases and penalties.
//!
//! No copy of the row is made: the masks leave a bit for each token, the others a list of the few logits that they
//! change, and both are read beside the row where it stands (see [`crate::row`]). What is wrong is told in the
//! order of the law: masks that leave nothing, a logit that is none (of a token that may come), a bias or a
//! penalty that makes one infinite, penalties that take the last token.

use crate::Error;
use crate::changes::Changes;
use crate::history::History;
use crate::masks::Masks;
use crate::memory::{Memory, Moment, Needs};
use crate::penalties::{Penalties, Stopped};
use crate::row::Standing;
use crate::simd::{Logits, Source};

/// Buffers for what acts on one row. What they hold between rows is unspecified.
#[derive(Debug, Default)]
pub struct Shaped {
    /// A bit for each token whose own logit is read.
    allowed: Vec<u32>,
    /// What is read in the place of the others.
    changes: Changes,
    /// The row as float32, if that is asked for.
    pub wide: Vec<f32>,
}

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
    /// ```
    /// use rheostat::adjust::{Adjustment, Shaped};
    /// use rheostat::history::History;
    /// use rheostat::masks::Masks;
    /// use rheostat::penalties::Penalties;
    /// use rheostat::simd::Logits;
    ///
    /// let masks = Masks { bitmask: Some([0b0111].into()), ..Masks::default() }; // tokens 0, 1 and 2
    /// let penalties = Penalties { repetition_penalty: 2.0, ..Penalties::default() };
    /// let history = History::new(&[0], &[2]); // the prompt, and what was drawn after it
    /// let adjustment = Adjustment::new(masks, penalties, history);
    ///
    /// let mut shaped = Shaped::default(); // keep it: the next call allocates less
    /// let standing = adjustment.apply(Logits::F32(&[3.0, 1.0, -1.0, 9.0]), 0, &mut shaped)?;
    /// assert_eq!(standing.row().check()?, 1.5); // the largest logit, found without a copy
    /// assert_eq!(standing.row().logits(), [1.5, 1.0, -2.0, f32::NEG_INFINITY]);
    /// shaped.wide = standing.into_buffer();
    /// # Ok::<(), rheostat::Error>(())
    /// ```
    ///
    /// # Errors
    /// The same.
    pub fn apply<'a>(
        &self,
        logits: Logits<'a>,
        at_row: usize,
        shaped: &'a mut Shaped,
    ) -> Result<Standing<'a>, Error> {
        let memory = Memory::for_one_call(&self.history, self.shaping.needs(), logits.len());
        let moment = Moment { history: &self.history, memory: &memory, bitmask: None };
        self.shaping.apply(moment, logits, at_row, shaped)
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

    /// The row after masks, biases and penalties, which takes the buffer for a wide copy: it is to be given back.
    ///
    /// The logits that no penalty touches are not checked: a NaN, `+inf`, or no finite logit is found by
    /// [`Row::check`](crate::row::Row::check), with the error that the row itself would give. A finite float64
    /// that is none as a float32 comes as `+inf`: where its token is forbidden it is not read.
    ///
    /// # Errors
    /// [`Error::NothingLeft`], [`Error::Infinite`], or what a check says of the masked row.
    pub fn apply<'a>(
        &self,
        moment: Moment<'_>,
        logits: Logits<'a>,
        at_row: usize,
        shaped: &'a mut Shaped,
    ) -> Result<Standing<'a>, Error> {
        let Shaped { allowed, changes, wide } = shaped;
        self.masks.allow(moment, logits.len(), at_row, allowed)?;
        changes.clear();
        if !self.penalties.is_none() {
            self.change(moment, logits, at_row, allowed, changes)?;
        }
        let source = Source { logits, allowed: Some(allowed.as_slice()) };
        Ok(Standing::new(source, changes.list(), std::mem::take(wide)))
    }

    /// Applies biases and penalties to what the masks have left.
    fn change(
        &self,
        moment: Moment<'_>,
        logits: Logits<'_>,
        at_row: usize,
        allowed: &mut Vec<u32>,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        let mut row = changes.begin(logits, allowed);
        let applied = self.penalties.apply(moment, &mut row);
        let leaves_one = row.end();
        // What is wrong is told of the row as the masks have left it.
        match applied {
            Ok(takers) if takers.is_empty() || leaves_one => Ok(()),
            Ok(takers) => {
                self.masks.allow(moment, logits.len(), at_row, allowed)?;
                let mut names = self.masks.names(moment, logits.len(), allowed);
                names.extend(takers);
                Err(Error::NothingLeft { names, row: at_row })
            }
            Err(stopped) => {
                self.masks.allow(moment, logits.len(), at_row, allowed)?;
                let masked = Source { logits, allowed: Some(allowed.as_slice()) };
                let masked = Standing::new(masked, &[], vec![]);
                masked.row().check().map_err(|error| error.in_row(at_row))?;
                match stopped {
                    Stopped::Infinite { argument, value, token } => {
                        Err(Error::Infinite { argument, value, row: at_row, token })
                    }
                    Stopped::BadRow => Ok(()), // never: the row was just found good
                }
            }
        }
    }
}
