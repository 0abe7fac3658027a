//! The filters of a call: their knobs for each row, and their order, in which a Python callable may stand. The
//! checks, their order and their words are those of `rheostat.reference.table` and `rheostat.reference.chain`.

use numpy::{PyArray1, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::errors::{knob_error, type_error};
use super::keywords::Keywords;
use super::knobs::{Given, PerRow, Shape, counts, numbers, type_name};
use crate::chain::{Kept, first_scale};
use crate::knobs::{self, PRESETS, Rule};
use crate::{Knobs, Step, softmax};

/// The knobs that have a parameter of their own.
pub struct Hot<'py> {
    pub temperature: Given<'py>,
    pub top_k: Given<'py>,
    pub top_p: Given<'py>,
    pub min_p: Given<'py>,
}

/// How a number goes into a row's knobs.
type Put<T> = fn(&mut Knobs, T);

/// The filters' other knobs, in the order in which they are checked.
const NUMBERS: [(&str, Rule<f64>, Put<f64>); 7] = [
    ("typical_p", knobs::TYPICAL_P, |knobs, p| knobs.typical_p = p),
    ("epsilon_cutoff", knobs::CUTOFF, |knobs, epsilon| knobs.epsilon_cutoff = epsilon),
    ("eta_cutoff", knobs::CUTOFF, |knobs, epsilon| knobs.eta_cutoff = epsilon),
    ("top_h", knobs::TOP_H, |knobs, share| knobs.top_h = share),
    ("top_n_sigma", knobs::TOP_N_SIGMA, |knobs, n| knobs.top_n_sigma = n),
    ("xtc_threshold", knobs::XTC_THRESHOLD, |knobs, threshold| knobs.xtc_threshold = threshold),
    ("xtc_probability", knobs::XTC_PROBABILITY, |knobs, probability| knobs.xtc_probability = probability),
];

/// The filters' knobs for each row.
pub fn knobs_of(shape: Shape, hot: &Hot<'_>, keywords: &Keywords<'_>) -> PyResult<PerRow<Knobs>> {
    let mut all = PerRow::One(Knobs::default());
    let mut number = |name, rule, given: &Given<'_>, put: Put<f64>| {
        if given.0.is_some() {
            all.put(numbers(name, rule, given, 0.0, shape)?, put);
        }
        PyResult::Ok(())
    };
    number("temperature", knobs::TEMPERATURE, &hot.temperature, |knobs, t| knobs.temperature = t)?;
    let top_k = counts("top_k", knobs::TOP_K, &hot.top_k, shape)?;
    number("top_p", knobs::TOP_P, &hot.top_p, |knobs, p| knobs.top_p = p)?;
    number("min_p", knobs::MIN_P, &hot.min_p, |knobs, p| knobs.min_p = p)?;
    if !keywords.is_empty() {
        for (name, rule, put) in NUMBERS {
            number(name, rule, &keywords.given(name), put)?;
        }
    }
    all.put(top_k, |knobs, k| knobs.top_k = k);
    Ok(all)
}

impl PerRow<Knobs> {
    /// One value for all rows, or one for each.
    fn put<T: Copy>(&mut self, values: PerRow<T>, put: Put<T>) {
        match (&mut *self, values) {
            (Self::One(knobs), PerRow::One(value)) => put(knobs, value),
            (Self::Each(each), PerRow::One(value)) => each.iter_mut().for_each(|knobs| put(knobs, value)),
            (Self::One(knobs), PerRow::Each(values)) => {
                let mut each = vec![*knobs; values.len()];
                each.iter_mut().zip(values).for_each(|(knobs, value)| put(knobs, value));
                *self = Self::Each(each);
            }
            (Self::Each(each), PerRow::Each(values)) => {
                each.iter_mut().zip(values).for_each(|(knobs, value)| put(knobs, value));
            }
        }
    }

    /// Whether any of the rows asks for the step.
    pub fn set_in_any(&self, step: Step, shape: Shape) -> bool {
        match self {
            Self::One(knobs) => shape.count > 0 && step.is_set(knobs),
            Self::Each(each) => each.iter().any(|knobs| step.is_set(knobs)),
        }
    }
}

/// A place in a chain.
pub enum Link {
    Step(Step),
    /// A Python callable: it is given (ids, logits, probabilities) and says what stays.
    Call(Py<PyAny>),
    /// Of a sequence alone: the bound on surprise that follows it.
    Mirostat,
}

/// The order of the filters.
pub struct Chain {
    /// The steps of a preset, which come first.
    preset: &'static [Step],
    links: Vec<Link>,
    calls: bool,
}

impl Chain {
    pub fn new(given: &Given<'_>, knobs: &PerRow<Knobs>, shape: Shape) -> PyResult<Self> {
        let Some(chain) = &given.0 else {
            return Ok(Self::preset(PRESETS[0].1, knobs, shape));
        };
        let py = chain.py();
        if let Ok(name) = chain.cast::<PyString>() {
            let name = name.to_cow()?;
            if let Some((_, steps)) = PRESETS.iter().find(|(preset, _)| *preset == name) {
                return Ok(Self::preset(steps, knobs, shape));
            }
            let names: Vec<String> = PRESETS.iter().map(|(name, _)| format!("'{name}'")).collect();
            let (names, got) = (names.join(", "), chain.repr()?);
            let message = format!("chain must be one of {names} or a tuple of knob names, got {got}");
            return Err(knob_error(py, message, "chain", chain));
        }
        let links = links(chain)?;
        let named = |step| links.iter().any(|link| matches!(link, Link::Step(named) if *named == step));
        for step in Step::ALL {
            if !named(step) && knobs.set_in_any(step, shape) {
                let name = step.name();
                let message = format!("chain must name every knob that is set, got none for '{name}'");
                return Err(knob_error(py, message, "chain", name));
            }
        }
        let calls = links.iter().any(|link| matches!(link, Link::Call(_)));
        Ok(Self { preset: &[], links, calls })
    }

    /// A preset, and after it what is set but not named by it.
    fn preset(preset: &'static [Step], knobs: &PerRow<Knobs>, shape: Shape) -> Self {
        let after = Step::AFTER.into_iter();
        let after = after.filter(|step| knobs.set_in_any(*step, shape) && !preset.contains(step));
        Self { preset, links: after.map(Link::Step).collect(), calls: false }
    }

    /// Whether a Python callable stands in it.
    pub fn calls(&self) -> bool {
        self.calls
    }

    /// The callables that stand in it.
    pub fn callables(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.links.iter().filter_map(|link| match link {
            Link::Call(callable) => Some(callable),
            Link::Step(_) | Link::Mirostat => None,
        })
    }

    /// Gives its callables away. None stands in their places, which fails when it is called.
    pub fn give_up(&mut self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let callables = self.links.iter_mut().filter_map(|link| match link {
            Link::Call(callable) => Some(std::mem::replace(callable, py.None())),
            Link::Step(_) | Link::Mirostat => None,
        });
        callables.collect()
    }

    /// The steps of a sequence's parameters, which have been checked and name all that is set.
    pub fn of_sequence(steps: &Bound<'_, PyAny>) -> PyResult<Self> {
        let (mut links, mut calls) = (vec![], false);
        for item in steps.try_iter()? {
            let item = item?;
            let name = item.cast::<PyString>().ok().map(PyStringMethods::to_cow).transpose()?;
            links.push(match name.as_deref() {
                None => Link::Call(item.clone().unbind()),
                Some("mirostat") => Link::Mirostat,
                Some(name) => match Step::from_name(name) {
                    Some(step) => Link::Step(step),
                    None => return Err(knob_error(item.py(), unknown(&item)?, "chain", item)),
                },
            });
            calls |= name.is_none();
        }
        Ok(Self { preset: &[], links, calls })
    }

    /// The scale at which top-p, or the draw, is the first to look at a row, if it is.
    pub fn first_scale(&self, knobs: &Knobs) -> Option<f32> {
        let steps = self.links.iter().filter_map(|link| match link {
            Link::Step(step) => Some(*step),
            Link::Call(_) | Link::Mirostat => None,
        });
        if self.calls { None } else { first_scale(self.preset.iter().copied().chain(steps), knobs) }
    }

    /// Runs it over what is kept; `mu` is mirostat's.
    pub fn run(&self, kept: &mut Kept<'_>, knobs: &Knobs, mu: Option<f64>) -> PyResult<()> {
        self.preset.iter().for_each(|step| kept.take(*step, knobs));
        for link in &self.links {
            match link {
                Link::Step(step) => kept.take(*step, knobs),
                Link::Call(callable) => Python::attach(|py| ask(callable.bind(py), kept))?,
                Link::Mirostat => {
                    if let Some(mu) = mu {
                        kept.keep_unsurprising(mu);
                    }
                }
            }
        }
        Ok(())
    }
}

fn links(chain: &Bound<'_, PyAny>) -> PyResult<Vec<Link>> {
    let py = chain.py();
    let wrong_type = |got: String| {
        type_error(format!("chain must be a preset's name or a tuple of knob names, got {got}"))
    };
    if !(chain.is_instance_of::<PyTuple>() || chain.is_instance_of::<PyList>()) {
        return Err(wrong_type(type_name(chain)));
    }
    let (mut links, mut seen) = (vec![], vec![]);
    for item in chain.try_iter()? {
        let item = item?;
        if item.is_callable() {
            links.push(Link::Call(item.unbind()));
            continue;
        }
        let Ok(text) = item.cast::<PyString>() else {
            return Err(wrong_type(format!("{} in it", type_name(&item))));
        };
        let Some(step) = Step::from_name(&text.to_cow()?) else {
            return Err(knob_error(py, unknown(&item)?, "chain", item));
        };
        if seen.contains(&step) {
            let message = format!("chain must name each knob once, got {} twice", item.repr()?);
            return Err(knob_error(py, message, "chain", item));
        }
        seen.push(step);
        links.push(Link::Step(step));
    }
    Ok(links)
}

fn unknown(name: &Bound<'_, PyAny>) -> PyResult<String> {
    let known = Step::ALL.map(Step::name).join(", ");
    Ok(format!("chain must name knobs among {known}, got {}", name.repr()?))
}

/// Asks a callable which of the survivors stay: a mask over them, or ids among them.
fn ask(callable: &Bound<'_, PyAny>, kept: &mut Kept<'_>) -> PyResult<()> {
    let py = callable.py();
    let numpy = py.import("numpy")?;
    let name = match callable.getattr_opt("__name__")? {
        Some(name) => name.str()?.to_string(),
        None => type_name(callable),
    };
    let refuse = |rule: &str, got: &str, value: Bound<'_, PyAny>| {
        Err(knob_error(
            py,
            format!("chain must have callables {rule}, got {got} from {name}"),
            "chain",
            value,
        ))
    };

    let (temperature, maximum) = (kept.temperature(), kept.maximum());
    let (ids, xs) = kept.survivors();
    let count = ids.len();
    let mut probabilities = vec![0.0; count];
    softmax::softmax(xs, maximum, temperature, &mut probabilities);
    let ids = PyArray1::from_iter(py, ids.iter().map(|id| i64::from(*id)));
    let given = (&ids, PyArray1::from_slice(py, xs), PyArray1::from_vec(py, probabilities));
    // What was given may be changed by the callable: the answer is held against the ids themselves.
    let own = ids.call_method0("copy")?;

    let wrong = |got: &str| {
        type_error(format!(
            "chain must have callables that return a boolean mask or ids, got {got} from {name}"
        ))
    };
    let answer = callable.call1(given)?;
    let array = numpy.call_method1("asarray", (answer,)).map_err(|error| {
        if error.is_instance_of::<PyValueError>(py) { wrong("a ragged list") } else { error }
    })?;
    let answer = array.cast::<PyUntypedArray>()?;
    let (dtype, kind) = (answer.dtype(), answer.dtype().kind());
    // Of uint8 were the masks of older programs: whether 0 and 1 are ids cannot be told.
    let is_byte = kind == b'u' && dtype.itemsize() == 1;
    if (is_byte || !b"biu".contains(&kind)) && !answer.is_empty() {
        return Err(wrong(&format!("an array of {dtype}")));
    }
    let mask = if kind == b'b' {
        if answer.shape() != [count] {
            let shape = array.getattr("shape")?;
            return refuse(&format!("whose mask has shape ({count},)"), &format!("shape {shape}"), shape);
        }
        array.clone()
    } else {
        let strangers = numpy.call_method1("setdiff1d", (&array, &own))?;
        if strangers.len()? > 0 {
            let first = strangers.call_method1("item", (0,))?;
            let shown = first.str()?.to_string();
            return refuse("that return ids they were given", &shown, first);
        }
        numpy.call_method1("isin", (&own, &array))?
    };
    let mask: Vec<bool> = mask.call_method0("tolist")?.extract()?;
    if !mask.contains(&true) {
        return refuse("that keep at least one token", "none", 0_i32.into_pyobject(py)?.into_any());
    }
    kept.retain(&mask);
    Ok(())
}
