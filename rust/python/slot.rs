//! One sequence of a sampler: what acts on it, read once from its parameters, and its state.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyType};

use super::adjust::Adjustments;
use super::call::Failure;
use super::chain::{Chain, Hot, knobs_of};
use super::chance::fresh_seed;
use super::errors::{to_python, type_error};
use super::ids::{id, id_list, is_sequence};
use super::keywords::Keywords;
use super::knobs::{Given, PerRow, Shape, check, integer_of, type_name};
use crate::Knobs;
use crate::adjust::Shaped;
use crate::chain::Kept;
use crate::history::History;
use crate::knobs::{Rule, WORD};
use crate::law::MAX_VOCAB;
use crate::mirostat::Mirostat;
use crate::report::{Drawn, Wanted};
use crate::sampler::{self, Rules, Turn};
use crate::scratch::Scratch;
use crate::simd::StandardFloats;
use crate::state::{Saved, State};

/// A single row.
const ROW: Shape = Shape { count: 1, is_row: true };

/// What acts on a sequence.
pub struct Plan {
    params: Py<PyAny>,
    rules: Rules,
    chain: Chain,
    seed: Option<u64>,
}

impl Plan {
    /// Reads parameters, whose ids must lie in the vocabulary.
    pub fn new(params: &Bound<'_, PyAny>, vocab_size: usize) -> PyResult<Self> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let py = params.py();
        let _floats = StandardFloats::begin(); // knobs are rounded to float32 here
        if !params.is_instance(CLASS.import(py, "rheostat.params", "SamplingParams")?)? {
            return Err(type_error(format!("params must be a SamplingParams, got {}", type_name(params))));
        }
        let given = params.call_method0("knobs")?.cast_into::<PyDict>()?.copy()?;
        let hot = |name| {
            let value = given.get_item(name)?;
            if value.is_some() {
                given.del_item(name)?;
            }
            PyResult::Ok(Given(value))
        };
        hot("chain")?; // its steps come in full below
        let hot = Hot {
            temperature: hot("temperature")?,
            top_k: hot("top_k")?,
            top_p: hot("top_p")?,
            min_p: hot("min_p")?,
        };
        let keywords = Keywords::of_dict("Sampler", &given)?;
        let PerRow::One(knobs) = knobs_of(ROW, &hot, &keywords)? else {
            return Err(type_error("params must hold one value for each knob, got several"));
        };
        let mut shaping = Adjustments::new(py, ROW, vocab_size, &keywords)?.into_shaping();
        shaping.masks.vocab_size = shaping.masks.vocab_size.or(Some(vocab_size));
        let is_on = !params.getattr("mirostat")?.eq(0)?;
        let mirostat = if is_on {
            Some(Mirostat {
                tau: params.getattr("mirostat_tau")?.extract()?,
                eta: params.getattr("mirostat_eta")?.extract()?,
            })
        } else {
            None
        };
        Ok(Self {
            rules: Rules { shaping, knobs, mirostat, wanted: wanted_of(params)? },
            chain: Chain::of_sequence(&params.call_method0("chain_steps")?)?,
            seed: params.getattr("seed")?.extract()?,
            params: params.clone().unbind(),
        })
    }

    /// Whether a Python callable stands in the chain.
    pub fn calls(&self) -> bool {
        self.chain.calls()
    }

    /// Shows the garbage collector the Python objects that it holds.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.params)?;
        self.chain.callables().try_for_each(|callable| visit.call(callable))
    }

    /// Gives them away, to whom the collector asks to break a cycle. They are to be dropped when no lock is held: as
    /// they go they may run Python code.
    fn give_up(&mut self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let mut objects = self.chain.give_up(py);
        objects.push(std::mem::replace(&mut self.params, py.None()));
        objects
    }
}

/// What is to be told of a token.
fn wanted_of(params: &Bound<'_, PyAny>) -> PyResult<Wanted> {
    let logprobs: Option<usize> = params.getattr("logprobs")?.extract()?;
    let report: Vec<String> = params.getattr("report")?.extract()?;
    let has = |name: &str| report.iter().any(|other| other == name);
    Ok(Wanted {
        logprob: logprobs.is_some(),
        top: logprobs.unwrap_or(0),
        raw_logprob: has("raw_logprob"),
        rank: has("rank"),
        kept_count: has("kept_count"),
        kept_mass: has("kept_mass"),
        entropy: has("entropy"),
        ..Wanted::default()
    })
}

impl sampler::Chain for Chain {
    type Error = Failure;

    fn first_scale(&self, knobs: &Knobs) -> Option<f32> {
        self.first_scale(knobs)
    }

    fn run(&self, kept: &mut Kept<'_>, knobs: &Knobs, mu: Option<f64>) -> Result<(), Failure> {
        Ok(self.run(kept, knobs, mu)?)
    }
}

/// A sequence.
pub struct Slot {
    plan: Plan,
    pub state: State,
}

impl Slot {
    /// With a seed from the system where the parameters have none.
    pub fn new(
        params: &Bound<'_, PyAny>,
        vocab_size: usize,
        prompt_ids: &Given<'_>,
        stream: &Given<'_>,
    ) -> PyResult<Self> {
        Self::seeded(params, vocab_size, prompt_ids, stream, None)
    }

    /// With this seed, where one is given: the parameters' own is then not looked at, and none is drawn.
    pub fn seeded(
        params: &Bound<'_, PyAny>,
        vocab_size: usize,
        prompt_ids: &Given<'_>,
        stream: &Given<'_>,
        seed: Option<u64>,
    ) -> PyResult<Self> {
        let plan = Plan::new(params, vocab_size)?;
        let prompt = match &prompt_ids.0 {
            Some(ids) => id_list("prompt_ids", ids, vocab_size, "a sequence of token ids")?,
            None => vec![],
        };
        let stream = match &stream.0 {
            Some(stream) => one_integer("stream", stream, WORD)? as u64,
            None => 0,
        };
        let seed = seed.or(plan.seed).map_or_else(fresh_seed, Ok)?;
        let saved = Saved { history: History::new(&prompt, &[]), seed, stream, mu: None };
        Ok(Self::of(plan, saved, vocab_size))
    }

    /// From parameters and a snapshot.
    pub fn from_snapshot(
        params: &Bound<'_, PyAny>,
        vocab_size: usize,
        state: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Ok(Self::of(Plan::new(params, vocab_size)?, saved_of(state, vocab_size)?, vocab_size))
    }

    fn of(plan: Plan, saved: Saved, vocab_size: usize) -> Self {
        let _floats = StandardFloats::begin(); // a penalty is rounded, to see whether it does anything
        let Rules { shaping, mirostat, .. } = &plan.rules;
        let state = State::new(saved, shaping.needs(), *mirostat, vocab_size);
        Self { plan, state }
    }

    /// Whether a Python callable stands in the chain.
    pub fn calls(&self) -> bool {
        self.plan.calls()
    }

    /// Shows the garbage collector the Python objects that it holds.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.plan.traverse(visit)
    }

    /// Gives them away; nothing can be drawn from then on where the chain had a callable.
    pub fn give_up(&mut self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.plan.give_up(py)
    }

    /// The next token; nothing changes.
    pub fn draw(&self, turn: Turn<'_>, shaped: &mut Shaped, scratch: &mut Scratch) -> Result<Drawn, Failure> {
        let Self { plan: Plan { rules, chain, .. }, state } = self;
        sampler::draw(rules, chain, state, turn, shaped, scratch)
    }

    /// `work` on what the chain keeps of the row at this place of chance.
    pub fn keep<R>(
        &self,
        turn: Turn<'_>,
        words: [u64; 4],
        buffers: (&mut Shaped, &mut Scratch),
        work: impl FnOnce(Kept<'_>) -> R,
    ) -> Result<R, Failure> {
        let Self { plan: Plan { rules, chain, .. }, state } = self;
        sampler::keep(rules, chain, state, turn, words, buffers, work)
    }

    /// Moves on by a token that was drawn.
    pub fn accept(&mut self, drawn: &Drawn) {
        sampler::accept(&self.plan.rules, &mut self.state, drawn);
    }

    /// Other parameters from now on; their seed, where they have one.
    pub fn set_plan(&mut self, plan: Plan) {
        let _floats = StandardFloats::begin(); // as above
        self.state.set_needs(plan.rules.shaping.needs(), plan.rules.mirostat);
        self.state.seed = plan.seed.unwrap_or(self.state.seed);
        self.plan = plan;
    }

    /// Goes back, or on, to what was saved.
    pub fn restore(&mut self, saved: Saved) {
        self.state.restore(saved, self.plan.rules.mirostat);
    }

    /// The parameters as they came.
    pub fn params<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.plan.params.bind(py).clone()
    }

    /// The snapshot.
    pub fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.state.to_bytes())
    }
}

/// What stands in a snapshot.
pub fn saved_of(state: &Bound<'_, PyAny>, vocab_size: usize) -> PyResult<Saved> {
    let Ok(bytes) = state.cast::<PyBytes>() else {
        return Err(type_error(format!("state must be bytes, got {}", type_name(state))));
    };
    Saved::from_bytes(bytes.as_bytes(), vocab_size).map_err(|error| to_python(state.py(), &error))
}

/// An id, or several.
pub fn ids_of(ids: &Bound<'_, PyAny>, vocab_size: usize) -> PyResult<Vec<u32>> {
    let kind = "a token id or a sequence of token ids";
    if is_sequence(ids)? {
        id_list("ids", ids, vocab_size, kind)
    } else {
        Ok(vec![id("ids", ids, vocab_size, kind)?])
    }
}

/// How many tokens a sampler's vocabulary has.
pub fn vocab_size_of(size: &Bound<'_, PyAny>) -> PyResult<usize> {
    let rule: Rule<i128> = ("must be in [1, 1048576]", |size| (1..=MAX_VOCAB as i128).contains(&size));
    Ok(one_integer("vocab_size", size, rule)? as usize)
}

/// An integer that is one, within its rule.
pub fn one_integer(name: &'static str, value: &Bound<'_, PyAny>, rule: Rule<i128>) -> PyResult<i128> {
    let PerRow::One(integer) = integer_of(name, value)? else {
        return Err(type_error(format!("{name} must be an integer, got several")));
    };
    check(name, rule, value, &PerRow::One(integer))?;
    Ok(integer)
}
