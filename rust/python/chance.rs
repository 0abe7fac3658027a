//! Chance from Python: seed, stream and position, or `u`, for every row or for every token wanted of one.
//! The checks, their order and their words are those of `rheostat.reference.chance`.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use super::errors::{knob_error, type_error};
use super::knobs::{Given, PerRow, Shape, check, integer_of};
use crate::knobs::WORD;
use crate::rng;

/// Where the chance of one row comes from.
#[derive(Clone, Copy)]
pub enum Chance {
    /// Word 0 itself.
    Word(u64),
    /// A place in Philox.
    Place { seed: u64, stream: u64, position: u64 },
}

impl Chance {
    /// Whether chance lets XTC act, by word 1. (A word of the caller's own never comes with XTC.)
    pub fn opens(self, probability: f64) -> bool {
        match self {
            Self::Place { seed, stream, position } if probability > 0.0 => {
                rng::opens(rng::words(seed, stream, position)[rng::XTC], probability)
            }
            _ => false,
        }
    }

    /// Word 0, `item` streams on.
    pub fn word(self, item: u64) -> u64 {
        match self {
            Self::Word(u) => u,
            Self::Place { seed, stream, position } => {
                rng::words(seed, stream.wrapping_add(item), position)[rng::TOKEN]
            }
        }
    }
}

/// A chance for each row, or for each token wanted of a single row.
pub struct Chances {
    pub each: PerRow<Chance>,
    /// Whether the result is an array.
    pub many: bool,
}

/// An argument's values, and what was given.
struct Words<'a, 'py> {
    name: &'static str,
    given: &'a Bound<'py, PyAny>,
    values: PerRow<i128>,
}

/// The arguments that chance comes from.
pub struct Source<'py> {
    pub seed: Given<'py>,
    pub stream: Given<'py>,
    pub position: Given<'py>,
    pub u: Given<'py>,
}

impl Chances {
    /// One for each row that has one result; `decides` is whether it decides anything.
    pub fn per_row(py: Python<'_>, source: &Source<'_>, shape: Shape, decides: bool) -> PyResult<Self> {
        let chances = Self::new(py, source, shape, decides)?;
        if shape.is_row && chances.many {
            let got = chances.all().len();
            let message = format!(
                "seed, stream and position must be one integer for one row of logits, got shape ({got},)"
            );
            return Err(knob_error(py, message, "seed", (got,)));
        }
        Ok(chances)
    }

    pub fn new(py: Python<'_>, source: &Source<'_>, shape: Shape, decides: bool) -> PyResult<Self> {
        let seed = words("seed", &source.seed, true)?;
        let stream = words("stream", &source.stream, false)?;
        let position = words("position", &source.position, false)?;
        let u = words("u", &source.u, true)?;
        let is_default = |words: &Option<Words<'_, '_>>| {
            words.as_ref().is_none_or(|words| matches!(words.values, PerRow::One(0)))
        };
        if let Some(u) = &u
            && (seed.is_some() || !is_default(&stream) || !is_default(&position))
        {
            let message = "u must come without seed, stream and position, got both".to_owned();
            return Err(knob_error(py, message, "u", u.given));
        }

        let all = [&seed, &stream, &position, &u];
        let first_length = all.iter().find_map(|words| words.as_ref()?.length());
        let count = if shape.is_row { first_length.unwrap_or(1) } else { shape.count };
        for words in all.into_iter().flatten() {
            words.check(count)?;
        }
        if shape.count > 1 {
            let [seed, stream, position, u] = all.map(Option::as_ref);
            refuse_one_chance_for_all(py, seed, stream, position, u, shape.count)?;
        }

        let at = |words: &Option<Words<'_, '_>>, row| {
            words.as_ref().map_or(0, |words| words.values.get(row) as u64)
        };
        let of_row = |row| {
            if u.is_some() {
                return Ok(Chance::Word(at(&u, row)));
            }
            let seed = if seed.is_none() && decides { fresh_seed()? } else { at(&seed, row) };
            Ok(Chance::Place { seed, stream: at(&stream, row), position: at(&position, row) })
        };
        let each = match count {
            1 => PerRow::One(of_row(0)?),
            _ => PerRow::Each((0..count).map(of_row).collect::<PyResult<_>>()?),
        };
        Ok(Self { each, many: !shape.is_row || first_length.is_some() })
    }

    /// All of them.
    pub fn all(&self) -> &[Chance] {
        match &self.each {
            PerRow::One(chance) => std::slice::from_ref(chance),
            PerRow::Each(chances) => chances,
        }
    }

    /// The row's.
    pub fn of(&self, row: usize) -> Chance {
        self.all()[row]
    }

    /// The only one, where the result is no array.
    pub fn single(&self) -> Option<Chance> {
        match &self.each {
            PerRow::One(chance) if !self.many => Some(*chance),
            _ => None,
        }
    }

    /// Whether there is a stream for each of `items` items behind every row's own.
    pub fn check_room_for(&self, py: Python<'_>, items: i128) -> PyResult<()> {
        for chance in self.all() {
            if let Chance::Place { stream, .. } = chance
                && i128::from(*stream) > (1 << 64) - items
            {
                let message = format!("stream must be at most 2**64 - n, got {stream}");
                return Err(knob_error(py, message, "stream", *stream));
            }
        }
        Ok(())
    }
}

impl Words<'_, '_> {
    fn length(&self) -> Option<usize> {
        match &self.values {
            PerRow::One(_) => None,
            PerRow::Each(values) => Some(values.len()),
        }
    }

    fn check(&self, count: usize) -> PyResult<()> {
        if let Some(length) = self.length()
            && length != count
        {
            let name = self.name;
            let message =
                format!("{name} must be an integer or have shape ({count},), got shape ({length},)");
            return Err(knob_error(self.given.py(), message, name, (length,)));
        }
        check(self.name, WORD, self.given, &self.values)
    }
}

/// The argument's values; None where it was not given, or is None and may be.
fn words<'a, 'py>(
    name: &'static str,
    given: &'a Given<'py>,
    may_be_none: bool,
) -> PyResult<Option<Words<'a, 'py>>> {
    match &given.0 {
        Some(value) if value.is_none() && !may_be_none => {
            Err(type_error(format!("{name} must be an integer or one integer per row, got NoneType")))
        }
        Some(value) if !value.is_none() => {
            Ok(Some(Words { name, given: value, values: integer_of(name, value)? }))
        }
        _ => Ok(None),
    }
}

pub fn fresh_seed() -> PyResult<u64> {
    rng::fresh_seed().map_err(|error| PyOSError::new_err(format!("no random seed from the system: {error}")))
}

/// One seed for several rows would give them all the same chance.
fn refuse_one_chance_for_all(
    py: Python<'_>,
    seed: Option<&Words<'_, '_>>,
    stream: Option<&Words<'_, '_>>,
    position: Option<&Words<'_, '_>>,
    u: Option<&Words<'_, '_>>,
    rows: usize,
) -> PyResult<()> {
    let one = |words: Option<&Words<'_, '_>>| match words.map(|words| &words.values) {
        Some(PerRow::One(word)) => Some(*word),
        _ => None,
    };
    if let Some(u) = one(u) {
        let message =
            format!("u must hold one integer per row, or all {rows} rows would get the same chance, got {u}");
        return Err(knob_error(py, message, "u", u));
    }
    let per_row = [stream, position].into_iter().flatten().any(|words| words.length().is_some());
    if let Some(seed) = one(seed).filter(|_| !per_row) {
        let message = format!(
            "seed must come with one stream or position per row, or all {rows} rows would get the same chance; \
             pass stream=np.arange({rows}), got seed={seed} alone"
        );
        return Err(knob_error(py, message, "seed", seed));
    }
    Ok(())
}
