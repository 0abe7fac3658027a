//! verify: what stays of a draft.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

use super::arrays::Logits;
use super::bitmask::Words;
use super::call::Failure;
use super::errors::{knob_error, named, to_python};
use super::ids::id_list;
use super::knobs::{Given, Shape};
use super::rows::Rows;
use super::sampler::check_width;
use super::slot::{Slot, one_integer, vocab_size_of};
use super::stop_input::{Name, broken, wrong_type};
use super::{WORTH_DETACHING, detach_if};
use crate::chain::Kept;
use crate::knobs::WORD;
use crate::sampler::Turn;
use crate::scratch::{self, Scratch};
use crate::{rng, verify as core};

/// The names of the two matrices, in what is said about them.
const TARGET: &str = "target_logits";
const DRAFT: &str = "draft_logits";

/// Adds the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(verify, module)?)
}

/// What stays of a draft: speculative decoding, whose text is that of the target alone.
///
/// A cheap model drafts n tokens, the target gives logits for the places of all of them and of one more in a
/// single pass; tokens stay up to the first that is refused, and one more follows. Masks, penalties and the chain
/// hold for every place with the history that it has then. Token i has the chance of (seed, stream, position + i).
///
/// "match": the target's own token is drawn, and the drafted one stays while it is the same. The text is token for
/// token that of decoding without a draft. The draft's logits are not looked at, and may be None: the draft may
/// come from anywhere.
///
/// "lossless": a token that the draft drew with probability q stays with probability min(1, p / q), else one is
/// drawn from max(0, p - q), which accepts more and is distributed as the target. (Leviathan, Kalman and Matias
/// 2023) Words 2 and 3 of the block of chance decide, in exact integers; the draft must have been drawn under the
/// same params, with word 0, as `sample` draws.
///
/// Args:
///     draft_ids: (n,) drafted token ids, n may be 0.
///     draft_logits: (n, vocab), what each was drawn from; None for "match".
///     target_logits: (n + 1, vocab).
///     params: SamplingParams, without mirostat. Its own seed is not looked at.
///     seed, stream, position: integers in [0, 2**64); the position is that of the first drafted token.
///     method: "match" or "lossless".
///     prompt_ids, output_ids: the sequence before the draft.
///     vocab_size: where the rows are wider (a padded head), the tail is forbidden.
///     bitmask: int32 (words,), or (n + 1, words) with one for every place.
///
/// Returns:
///     Verified(accepted, ids): how many drafted tokens stay, and those with the one that follows. Rows behind the
///     first refused token are not looked at.
///
/// Raises:
///     KnobError: an argument breaks its rule; for "lossless" also a drafted token that the draft's chain does
///         not keep, or keeps with weight 0: it cannot have been drawn.
///     LogitsError, TypeError: as in `sample`, with the name of the matrix.
///
/// >>> import numpy as np
/// >>> import rheostat
/// >>> target = np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
/// >>> params = rheostat.SamplingParams(temperature=0)
/// >>> rheostat.verify([1, 2], None, target, params, seed=0, position=0)
/// Verified(accepted=1, ids=(1, 0))
#[pyfunction]
#[pyo3(signature = (draft_ids, draft_logits, target_logits, /, params, *, seed, position, stream=Given(None),
                    method=Given(None), prompt_ids=Given(None), output_ids=Given(None),
                    vocab_size=Given(None), bitmask=None),
       text_signature = "(draft_ids, draft_logits, target_logits, /, params, *, seed, position, stream=0, \
                         method='match', prompt_ids=(), output_ids=(), vocab_size=None, bitmask=None)")]
#[allow(clippy::too_many_arguments)] // most are keywords in Python
fn verify<'py>(
    py: Python<'py>,
    draft_ids: &Bound<'py, PyAny>,
    draft_logits: &Bound<'py, PyAny>,
    target_logits: &Bound<'py, PyAny>,
    params: &Bound<'py, PyAny>,
    seed: &Bound<'py, PyAny>,
    position: &Bound<'py, PyAny>,
    stream: Given<'py>,
    method: Given<'py>,
    prompt_ids: Given<'py>,
    output_ids: Given<'py>,
    vocab_size: Given<'py>,
    bitmask: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let is_lossless = is_lossless(&method)?;
    let seed = one_integer("seed", seed, WORD)? as u64;
    let stream = stream.0.as_ref().map_or(Ok(0), |stream| one_integer("stream", stream, WORD))? as u64;
    let first = one_integer("position", position, WORD)?;
    let target = matrix(TARGET, target_logits)?;
    let width = target.vocab();
    let vocab = match vocab_size.0.as_ref().filter(|size| !size.is_none()) {
        Some(size) => vocab_size_of(size)?,
        None => width,
    };
    check_width(&target, vocab, py)?;
    let ids = id_list("draft_ids", draft_ids, vocab, "a sequence of token ids")?;
    let count = ids.len();
    check_rows(py, TARGET, "one row for each drafted token and one more", count + 1, target.rows())?;
    if first + count as i128 >= 1 << 64 {
        let message = format!("position must leave room for the drafted tokens below 2**64, got {first}");
        return Err(knob_error(py, message, "position", first));
    }
    if is_lossless && count > 0 && draft_logits.is_none() {
        let message = "draft_logits must be given where method is 'lossless', got None".to_owned();
        return Err(knob_error(py, message, "draft_logits", draft_logits));
    }
    let draft = if is_lossless && count > 0 { Some(matrix(DRAFT, draft_logits)?) } else { None };
    if let Some(draft) = &draft {
        check_rows(py, DRAFT, "one row for each drafted token", count, draft.rows())?;
        if draft.vocab() != width {
            let got = draft.vocab();
            let message = format!("draft_logits must be as wide as target_logits, {width}, got {got}");
            return Err(knob_error(py, message, "draft_logits", got));
        }
    }
    let mut slot = Slot::seeded(params, vocab, &prompt_ids, &Given(None), Some(seed))?;
    let mirostat = params.getattr("mirostat")?;
    if !mirostat.eq(0)? {
        return Err(knob_error(
            py,
            format!("mirostat must be 0 to verify, got {mirostat}"),
            "mirostat",
            mirostat,
        ));
    }
    if let Some(output) = &output_ids.0 {
        slot.state.extend(&id_list("output_ids", output, vocab, "a sequence of token ids")?);
    }
    let shape = Shape { count: count + 1, is_row: false };
    let words = bitmask.filter(|words| !words.is_none());
    let words = words.map(|words| Words::extract("bitmask", words, shape, width)).transpose()?;

    let speculation = Speculation {
        chance: (seed, stream, first as u64),
        target: target.view(),
        draft: draft.as_ref().map(Logits::view),
        masks: (0..=count).map(|at| words.as_ref().map(|words| words.of(at))).collect(),
    };
    let detaches = !slot.calls() && (count + 1).saturating_mul(width) >= WORTH_DETACHING;
    let ids = detach_if(py, detaches, || scratch::with(|scratch| speculation.run(&ids, slot, scratch)));
    let ids = ids.map_err(|refused| refused.into_python(py))?;
    let class = CLASS.import(py, "rheostat.results", "Verified")?;
    class.call1((ids.len() - 1, PyTuple::new(py, ids)?))
}

/// The rows of a draft and of its target.
struct Speculation<'a> {
    /// Seed, stream and the position of the first drafted token.
    chance: (u64, u64, u64),
    target: Rows<'a>,
    draft: Option<Rows<'a>>,
    /// A bitmask for each place.
    masks: Vec<Option<&'a [i32]>>,
}

/// Why there is no result.
enum Refused {
    /// What is wrong with a row of these logits.
    Failure(&'static str, Failure),
    /// The draft's own chain does not keep the token that it drafted at this place, or with weight 0.
    NotDrafted { id: u32, at: usize },
}

impl Refused {
    fn into_python(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Failure(name, Failure::Law(error)) => named(py, to_python(py, &error), name),
            Self::Failure(_, Failure::Python(error)) => error,
            Self::NotDrafted { id, at } => {
                let rule = "draft_ids must hold tokens that the draft's own chain keeps";
                knob_error(py, format!("{rule}, got {id} in row {at}"), "draft_ids", id)
            }
        }
    }
}

impl Speculation<'_> {
    /// The drafted tokens that stay, and one more.
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime")]
    fn run(&self, drafted: &[u32], mut slot: Slot, scratch: &mut Scratch) -> Result<Vec<u32>, Refused> {
        let (seed, stream, position) = self.chance;
        let mut ids = vec![];
        for (at, mask) in self.masks.iter().enumerate() {
            let words = rng::words(seed, stream, position + at as u64);
            let place = Place { at, mask: *mask, words, slot: &slot };
            let token = match (&self.draft, drafted.get(at)) {
                (Some(draft), Some(&id)) => {
                    let target = place.keep(TARGET, &self.target, scratch, |kept| kept.distribution())?;
                    let draft = place.keep(DRAFT, draft, scratch, |kept| kept.distribution())?;
                    core::verify(id, &draft, &target, words).ok_or(Refused::NotDrafted { id, at })?
                }
                _ => place
                    .keep(TARGET, &self.target, scratch, |mut kept| kept.draw(words[rng::TOKEN]) as u32)?,
            };
            ids.push(token);
            if drafted.get(at) != Some(&token) {
                break;
            }
            slot.state.accept(token);
        }
        Ok(ids)
    }
}

/// A place of the draft: its chance, and the sequence before it.
struct Place<'a> {
    at: usize,
    mask: Option<&'a [i32]>,
    words: [u64; 4],
    slot: &'a Slot,
}

impl Place<'_> {
    /// `work` on what the chain keeps of this place's row in the logits of this name.
    fn keep<R>(
        &self,
        name: &'static str,
        rows: &Rows<'_>,
        scratch: &mut Scratch,
        work: impl FnOnce(Kept<'_>) -> R,
    ) -> Result<R, Refused> {
        let (mut row, mut shaped) = (std::mem::take(&mut scratch.row), std::mem::take(&mut scratch.shaped));
        let logits = rows.logits(self.at, &mut row);
        let turn = Turn { logits, at: self.at, bitmask: self.mask, kept: false };
        let result = self.slot.keep(turn, self.words, (&mut shaped, scratch), work);
        (scratch.row, scratch.shaped) = (row, shaped);
        result.map_err(|failure| match failure {
            Failure::Law(error) => Refused::Failure(name, Failure::Law(rows.restore(error))),
            Failure::Python(raised) => Refused::Failure(name, Failure::Python(raised)),
        })
    }
}

/// Whether the method is "lossless".
fn is_lossless(method: &Given<'_>) -> PyResult<bool> {
    let Some(method) = &method.0 else { return Ok(false) };
    let (name, rule) = (Name::of("method"), "must be 'match' or 'lossless'");
    let Ok(text) = method.cast::<PyString>() else { return Err(wrong_type(name, rule, method)) };
    match &*text.to_cow()? {
        "match" => Ok(false),
        "lossless" => Ok(true),
        _ => Err(broken(name, rule, method)),
    }
}

/// Logits of several rows.
fn matrix<'py>(name: &str, logits: &Bound<'py, PyAny>) -> PyResult<Logits<'py>> {
    let py = logits.py();
    let logits = Logits::extract(logits).map_err(|error| named(py, error, name))?;
    if logits.is_row() {
        let shape = (logits.vocab(),);
        let message = format!("{name} must have shape (rows, vocab), got shape ({},)", shape.0);
        return Err(knob_error(py, message, name, shape));
    }
    Ok(logits)
}

fn check_rows(py: Python<'_>, name: &str, what: &str, wanted: usize, got: usize) -> PyResult<()> {
    if got == wanted {
        return Ok(());
    }
    Err(knob_error(py, format!("{name} must have {what}, {wanted}, got {got}"), name, got))
}
