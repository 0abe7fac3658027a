//! The rows of a call with all that acts on them, checked; the way from a row to what is kept of it.

use pyo3::prelude::*;

use super::adjust::Adjustments;
use super::arrays::Logits;
use super::chain::{Chain, Hot, knobs_of};
use super::chance::{Chance, Chances, Source};
use super::errors::{knob_error, to_python};
use super::keywords::Keywords;
use super::knobs::{Given, PerRow, Shape};
use super::{WORTH_DETACHING, detach_if, signals};
use crate::chain::Kept;
use crate::scratch::{self, Scratch};
use crate::{Error, Knobs, Step};

/// Logits, and for each row its knobs and its history; one chain for all.
pub struct Call<'py> {
    pub logits: Logits<'py>,
    pub shape: Shape,
    pub adjustments: Adjustments,
    knobs: PerRow<Knobs>,
    chain: Chain,
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
pub struct Shaped<'a> {
    /// Its place in the batch.
    pub at: usize,
    pub x: &'a [f32],
    /// Its maximum, from the first look on.
    maximum: Option<f32>,
    knobs: Knobs,
    chain: &'a Chain,
    scratch: &'a mut Scratch,
}

impl Shaped<'_> {
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
    pub fn new(
        logits: &Bound<'py, PyAny>,
        hot: &Hot<'py>,
        chain: &Given<'py>,
        keywords: &Keywords<'py>,
    ) -> PyResult<Self> {
        let py = logits.py();
        let logits = Logits::extract(logits)?;
        let shape = Shape { count: logits.rows(), is_row: logits.is_row() };
        let knobs = knobs_of(shape, hot, keywords)?;
        let adjustments = Adjustments::new(py, shape, logits.vocab(), keywords)?;
        let chain = Chain::new(chain, &knobs, shape)?;
        Ok(Self { logits, shape, adjustments, knobs, chain })
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
        self.knobs.set_in_any(Step::Xtc, self.shape)
    }

    /// `work` on every row, over threads where it pays; the error of the lowest row that has one. With a
    /// callable in the chain row by row, on this thread, which keeps the GIL. `more` is what a row's work costs
    /// beyond reading it, in logits.
    pub fn rows<R: Send>(
        &self,
        py: Python<'py>,
        more: usize,
        work: impl Fn(Shaped<'_>) -> Result<R, Failure> + Sync,
    ) -> PyResult<Vec<R>> {
        let vocab = self.logits.vocab();
        let (knobs, adjustments, chain) = (&self.knobs, &self.adjustments, &self.chain);
        let results: Result<_, Failure> =
            map_rows(py, &self.logits, more, chain.calls(), |at, given, shaped, scratch| {
                let x = match adjustments.row(at, vocab) {
                    None => given,
                    Some(adjustment) => {
                        adjustment.apply(given, at, shaped)?;
                        shaped.as_slice()
                    }
                };
                work(Shaped { at, x, maximum: None, knobs: knobs.get(at), chain, scratch })
            })?;
        results.map_err(|failure| failure.into_python(py))
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
    work: impl Fn(usize, &[f32], &mut Vec<f32>, &mut Scratch) -> Result<R, Failure> + Sync,
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
    work: impl Fn(usize, &[f32], &mut Vec<f32>, &mut Scratch) -> Result<R, Failure> + Sync,
) -> PyResult<C> {
    let rows = logits.view();
    let (count, vocab) = (places.len(), logits.vocab());
    let one = |at: usize, scratch: &mut Scratch| {
        let (mut row, mut shaped) = (std::mem::take(&mut scratch.row), std::mem::take(&mut scratch.shaped));
        let result = work(at, rows.row(at, &mut row), &mut shaped, scratch);
        (scratch.row, scratch.shaped) = (row, shaped);
        result.map_err(|failure| match failure {
            Failure::Law(error) => Failure::Law(rows.restore(error.in_row(at))),
            raised => raised,
        })
    };
    let detaches = count.saturating_mul(vocab.saturating_add(more)) >= WORTH_DETACHING;
    if calls || (count == 1 && !detaches) {
        Ok(places.into_iter().map(|at| scratch::with(|scratch| one(at, scratch))).collect())
    } else {
        detach_if(py, detaches, || {
            let one = |at| scratch::with(|scratch| one(at, scratch));
            Ok(signals::map_rows(places, vocab, one)?.into_iter().collect())
        })
    }
}
