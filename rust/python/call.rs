//! The rows of a call with all that acts on them, checked; the way from a row to what is kept of it.

use pyo3::prelude::*;

use super::adjust::Adjustments;
use super::arrays::Logits;
use super::chain::{Chain, knobs_of};
use super::chance::{Chance, Chances, Source};
use super::errors::{knob_error, to_python};
use super::keywords::Arguments;
use super::knobs::{PerRow, Shape};
use super::rows::Rows;
use super::{WORTH_DETACHING, detach_if, signals};
use crate::adjust::Shaped;
use crate::chain::Kept;
use crate::row::{Row, Standing};
use crate::scratch::{self, Scratch};
use crate::{Error, Knobs, Step, simd};

/// Logits, and for each row its knobs and its history; one chain for all.
pub struct Call<'py> {
    pub logits: Logits<'py>,
    pub shape: Shape,
    rules: Rules,
}

/// What acts on the rows. Knows nothing of Python, as long as no callable is asked.
struct Rules {
    width: usize,
    adjustments: Adjustments,
    knobs: PerRow<Knobs>,
    chain: Chain,
}

impl Rules {
    /// `work` on a row after masks, biases and penalties.
    fn shaped<R>(
        &self,
        at: usize,
        given: simd::Logits<'_>,
        shaped: &mut Shaped,
        scratch: &mut Scratch,
        work: impl FnOnce(ShapedRow<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let standing = match self.adjustments.row(at, self.width) {
            None => Standing::plain(given, std::mem::take(&mut shaped.wide)),
            Some(adjustment) => adjustment.apply(given, at, shaped)?,
        };
        let (x, knobs) = (standing.row(), self.knobs.get(at));
        let result = work(ShapedRow { at, x, maximum: None, knobs, chain: &self.chain, scratch });
        shaped.wide = standing.into_buffer();
        result
    }
}

/// Why a row has no result.
pub enum Failure {
    Law(Error),
    /// What a callable in the chain has raised.
    Python(PyErr),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Law(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl Failure {
    pub fn into_python(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Law(error) => to_python(py, &error),
            Self::Python(error) => error,
        }
    }
}

/// A row after masks, biases and penalties.
pub struct ShapedRow<'a> {
    /// Its place in the batch.
    pub at: usize,
    pub x: Row<'a>,
    /// Its maximum, from the first look on.
    maximum: Option<f32>,
    knobs: Knobs,
    chain: &'a Chain,
    scratch: &'a mut Scratch,
}

impl ShapedRow<'_> {
    /// Whether chance lets XTC act on this row.
    pub fn opens(&self, chance: Chance) -> bool {
        chance.opens(self.knobs.xtc_probability)
    }

    /// What the chain keeps of it; `xtc` is whether XTC acts.
    pub fn keep(&mut self, xtc: bool) -> Result<Kept<'_>, Failure> {
        let knobs = self.knobs.with_xtc(xtc);
        let mut kept = match self.maximum {
            Some(maximum) => Kept::whole(self.x, maximum, self.scratch),
            None => Kept::read(self.x, self.chain.first_scale(&knobs), self.scratch)?,
        };
        self.maximum = Some(kept.maximum());
        self.chain.run(&mut kept, &knobs, None)?;
        Ok(kept)
    }

    /// For each chance what the chain keeps, where only XTC's gate tells them apart: `work` gets their places
    /// in the list with the same kept set.
    pub fn keep_by_gate(
        &mut self,
        chances: &[Chance],
        mut work: impl FnMut(&[usize], Kept<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Some(first) = chances.first().map(|chance| self.opens(*chance)) else { return Ok(()) };
        for gate in [first, !first] {
            let places: Vec<usize> = (0..chances.len()).filter(|&c| self.opens(chances[c]) == gate).collect();
            if !places.is_empty() {
                work(&places, self.keep(gate)?)?;
            }
        }
        Ok(())
    }
}

impl<'py> Call<'py> {
    #[inline]
    pub fn new(py: Python<'py>, logits: Logits<'py>, arguments: &Arguments<'py>) -> PyResult<Self> {
        let Arguments { chain, hot, keywords } = arguments;
        let shape = Shape { count: logits.rows(), is_row: logits.is_row() };
        let knobs = knobs_of(shape, hot, keywords)?;
        let width = logits.vocab();
        let adjustments = Adjustments::new(py, shape, width, keywords)?;
        let chain = Chain::new(chain, &knobs, shape)?;
        Ok(Self { logits, shape, rules: Rules { width, adjustments, knobs, chain } })
    }

    /// Each row's vocabulary: the ids that may be asked for.
    pub fn vocab(&self) -> &PerRow<usize> {
        self.rules.adjustments.vocab()
    }

    /// A chance for each row, or for each token wanted of a single one.
    pub fn chances(&self, py: Python<'py>, source: &Source<'py>) -> PyResult<Chances> {
        if let Some(u) = source.u.0.as_ref().filter(|u| !u.is_none())
            && self.has_xtc()
        {
            let message = "u must come without xtc_probability, got both".to_owned();
            return Err(knob_error(py, message, "u", u));
        }
        Chances::new(py, source, self.shape, true)
    }

    /// Where each row has one result, chance decides XTC alone.
    pub fn chance_per_row(&self, py: Python<'py>, source: &Source<'py>) -> PyResult<Chances> {
        Chances::per_row(py, source, self.shape, self.has_xtc())
    }

    fn has_xtc(&self) -> bool {
        self.rules.knobs.set_in_any(Step::Xtc, self.shape)
    }

    /// `work` on every row, over threads where it pays; the error of the lowest row that has one. With a
    /// callable in the chain row by row, on this thread, which keeps the GIL. `more` is what a row's work costs
    /// beyond reading it, in logits.
    pub fn rows<R: Send>(
        &self,
        py: Python<'py>,
        more: usize,
        work: impl Fn(ShapedRow<'_>) -> Result<R, Failure> + Sync,
    ) -> PyResult<Vec<R>> {
        let rules = &self.rules;
        let work = |at, given: simd::Logits<'_>, shaped: &mut Shaped, scratch: &mut Scratch| {
            rules.shaped(at, given, shaped, scratch, &work)
        };
        let results: Result<_, Failure> = map_rows(py, &self.logits, more, rules.chain.calls(), work)?;
        results.map_err(|failure| failure.into_python(py))
    }

    /// The same for the only row.
    pub fn row<R: Send>(
        &self,
        py: Python<'py>,
        work: impl Fn(ShapedRow<'_>) -> Result<R, Failure> + Sync,
    ) -> PyResult<R> {
        let rules = &self.rules;
        let work = |given: simd::Logits<'_>, shaped: &mut Shaped, scratch: &mut Scratch| {
            rules.shaped(0, given, shaped, scratch, &work)
        };
        map_row(py, &self.logits, rules.chain.calls(), work).map_err(|failure| failure.into_python(py))
    }
}

/// `work` on every row, over threads where it pays; `calls` is whether it calls Python, and so must stay on this
/// thread, which keeps the GIL. Each gets its place, its logits and a buffer; the results stand in order, and
/// where they are collected into one `Result` it is the error of the lowest row that has one. `more` is what a
/// row's work costs beyond reading it, in logits. Raises what the handler of a signal does.
pub fn map_rows<R: Send, C: FromIterator<Result<R, Failure>> + Send>(
    py: Python<'_>,
    logits: &Logits<'_>,
    more: usize,
    calls: bool,
    work: impl Fn(usize, simd::Logits<'_>, &mut Shaped, &mut Scratch) -> Result<R, Failure> + Sync,
) -> PyResult<C> {
    map_some(py, logits, (0..logits.rows()).collect(), more, calls, work)
}

/// The same for some of the rows; the results stand in their order.
pub fn map_some<R: Send, C: FromIterator<Result<R, Failure>> + Send>(
    py: Python<'_>,
    logits: &Logits<'_>,
    places: Vec<usize>,
    more: usize,
    calls: bool,
    work: impl Fn(usize, simd::Logits<'_>, &mut Shaped, &mut Scratch) -> Result<R, Failure> + Sync,
) -> PyResult<C> {
    let count = places.len();
    let vocab = logits.vocab();
    let detaches = count.saturating_mul(vocab.saturating_add(more)) >= WORTH_DETACHING;
    let lent = match logits.lend(calls || detaches) {
        Ok(lent) => lent,
        Err(error) => return Ok(std::iter::once(Err(error.into())).collect()),
    };
    let rows = lent.rows();
    let one = |at: usize| {
        let work = |row: simd::Logits<'_>, shaped: &mut _, scratch: &mut _| work(at, row, shaped, scratch);
        with_row(&rows, at, work)
    };
    if calls || (count == 1 && !detaches) {
        Ok(places.into_iter().map(one).collect())
    } else {
        detach_if(py, detaches, || Ok(signals::map_rows(places, vocab, one)?.into_iter().collect()))
    }
}

/// The same for the only row.
pub fn map_row<R: Send>(
    py: Python<'_>,
    logits: &Logits<'_>,
    calls: bool,
    work: impl FnOnce(simd::Logits<'_>, &mut Shaped, &mut Scratch) -> Result<R, Failure> + Send,
) -> Result<R, Failure> {
    let detaches = !calls && logits.vocab() >= WORTH_DETACHING;
    let lent = logits.lend(calls || detaches)?;
    let rows = lent.rows();
    detach_if(py, detaches, || with_row(&rows, 0, work))
}

/// `work` on a row, and its error as one about the logits as they were given.
fn with_row<R>(
    rows: &Rows<'_>,
    at: usize,
    work: impl FnOnce(simd::Logits<'_>, &mut Shaped, &mut Scratch) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let result = scratch::with(|scratch| {
        let (mut row, mut shaped) = (std::mem::take(&mut scratch.row), std::mem::take(&mut scratch.shaped));
        let result = work(rows.logits(at, &mut row), &mut shaped, scratch);
        (scratch.row, scratch.shaped) = (row, shaped);
        result
    });
    result.map_err(|failure| match failure {
        Failure::Law(error) => Failure::Law(rows.restore(error.in_row(at))),
        Failure::Python(raised) => Failure::Python(raised),
    })
}
