//! Knobs from Python: a number or one per row, an integer or one per row. The checks, their order and their
//! words are those of `rheostat.reference.knobs`.

use numpy::{PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyTuple};

use super::errors::{knob_error, to_python, type_error};
use crate::error::{Error, Number};
use crate::knobs::{self, Rule};

/// An argument as it came; None where it was not given at all (a given `None` is an object).
pub struct Given<'py>(pub Option<Bound<'py, PyAny>>);

impl<'a, 'py> FromPyObject<'a, 'py> for Given<'py> {
    type Error = std::convert::Infallible;
    fn extract(object: Borrowed<'a, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self(Some(object.to_owned())))
    }
}

/// One value for all rows, or one for each.
pub enum PerRow<T> {
    One(T),
    Each(Vec<T>),
}

impl<T: Copy> PerRow<T> {
    pub fn get(&self, row: usize) -> T {
        match self {
            Self::One(value) => *value,
            Self::Each(values) => values[row],
        }
    }
}

/// How many rows there are, and whether they were given as a single one.
#[derive(Clone, Copy)]
pub struct Shape {
    pub count: usize,
    pub is_row: bool,
}

/// What a knob's kind is called in an error.
struct Kind {
    one: &'static str,
    many: &'static str,
}

const NUMBER: Kind = Kind { one: "a number", many: "number" };
const INTEGER: Kind = Kind { one: "an integer", many: "integer" };

impl Kind {
    fn wrong_type(&self, argument: &str, got: &str) -> PyErr {
        type_error(format!("{argument} must be {} or one {} per row, got {got}", self.one, self.many))
    }

    /// `value` as an array of at most one dimension.
    fn array<'py>(&self, argument: &str, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let array = py.import("numpy")?.call_method1("asarray", (value,)).map_err(|error| {
            if error.is_instance_of::<PyValueError>(py) {
                self.wrong_type(argument, &format!("a ragged {}", type_name(value)))
            } else {
                error
            }
        })?;
        let untyped = array.cast::<PyUntypedArray>()?;
        if untyped.ndim() > 1 {
            let shape = array.getattr("shape")?;
            let message =
                format!("{argument} must be {} or one {} per row, got shape {shape}", self.one, self.many);
            return Err(knob_error(py, message, argument, shape));
        }
        Ok(array)
    }

    /// The array, if its dtype is of one of these kinds.
    fn of_dtype<'py>(
        &self,
        argument: &str,
        array: Bound<'py, PyAny>,
        kinds: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let dtype = array.getattr("dtype")?;
        let kind: String = dtype.getattr("kind")?.extract()?;
        if kinds.contains(&kind) {
            Ok(array)
        } else {
            Err(self.wrong_type(argument, &format!("an array of {dtype}")))
        }
    }
}

/// The name of the value's type, as errors show it.
pub fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}

fn is_array_like(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let sequence = value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>();
    Ok(sequence || value.hasattr("__array__")?)
}

/// A number, or several.
pub fn number_of(argument: &'static str, value: &Bound<'_, PyAny>) -> PyResult<PerRow<f64>> {
    if let Ok(number) = value.cast::<PyFloat>() {
        return Ok(PerRow::One(number.extract()?));
    }
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        return match value.extract() {
            Ok(number) => Ok(PerRow::One(number)),
            Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
                // an int beyond every float
                Ok(PerRow::One(if value.lt(0)? { f64::NEG_INFINITY } else { f64::INFINITY }))
            }
            Err(error) => Err(error),
        };
    }
    if value.is_instance_of::<PyBool>() || !is_array_like(value)? {
        return Err(NUMBER.wrong_type(argument, &type_name(value)));
    }
    // A slice alone: rust-numpy's views round strides down to whole elements.
    if let Ok(numbers) = value.extract::<PyReadonlyArray1<'_, f64>>()
        && let Ok(numbers) = numbers.as_slice()
    {
        return Ok(PerRow::Each(numbers.to_vec()));
    }
    let array = NUMBER.of_dtype(argument, NUMBER.array(argument, value)?, "fiu")?;
    let numbers = array.call_method1("astype", ("float64",))?.call_method0("tolist")?;
    numbers.extract().map(PerRow::One).or_else(|_: PyErr| numbers.extract().map(PerRow::Each))
}

/// An integer, saturated where it is wider than 64 bits: no rule tells those apart.
fn integer(value: &Bound<'_, PyAny>) -> PyResult<i128> {
    if let Ok(small) = value.extract::<i64>() {
        return Ok(small.into());
    }
    if let Ok(word) = value.extract::<u64>() {
        return Ok(word.into());
    }
    Ok(if value.lt(0)? { i128::MIN } else { i128::MAX })
}

/// The same integer as Python's own int.
pub fn plain<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    value.py().get_type::<PyInt>().call1((value,))
}

pub fn integer_of(argument: &'static str, value: &Bound<'_, PyAny>) -> PyResult<PerRow<i128>> {
    if value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        return integer(value).map(PerRow::One);
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        // Not through an array: NumPy would make floats of [1, 2**63].
        let (mut integers, mut is_nested) = (vec![], false);
        for item in value.try_iter()? {
            let item = item?;
            if item.is_instance_of::<PyList>() || item.is_instance_of::<PyTuple>() {
                return Err(INTEGER.wrong_type(argument, "a nested list"));
            }
            match integer_of(argument, &item)? {
                PerRow::One(item) => integers.push(item),
                PerRow::Each(_) => is_nested = true,
            }
        }
        if is_nested {
            return Err(INTEGER.wrong_type(argument, "a nested list"));
        }
        return Ok(PerRow::Each(integers));
    }
    if value.is_instance_of::<PyBool>() || !is_array_like(value)? {
        return Err(INTEGER.wrong_type(argument, &type_name(value)));
    }
    if let Ok(integers) = value.extract::<PyReadonlyArray1<'_, i64>>()
        && let Ok(integers) = integers.as_slice()
    {
        return Ok(PerRow::Each(integers.iter().map(|i| i128::from(*i)).collect()));
    }
    let array = INTEGER.of_dtype(argument, INTEGER.array(argument, value)?, "iu")?;
    integer_of(argument, &array.call_method0("tolist")?)
}

/// Every value within its rule; the error shows the number as it was given.
pub fn check<T: Copy + Into<Number>>(
    argument: &'static str,
    rule: Rule<T>,
    given: &Bound<'_, PyAny>,
    values: &PerRow<T>,
) -> PyResult<()> {
    let py = given.py();
    let refuse = |error: Error, row: Option<usize>| {
        if let Error::Knob { value: Number::Int(i128::MIN | i128::MAX), rule, .. } = error {
            // It was saturated: show what was given instead.
            let place = row.map_or(String::new(), |row| format!(" for row {row}"));
            let value = row.map_or_else(|| Ok(given.clone()), |row| given.get_item(row));
            return match value.and_then(|value| plain(&value)) {
                Ok(value) => {
                    knob_error(py, format!("{argument} {rule}, got {value}{place}"), argument, value)
                }
                Err(error) => error,
            };
        }
        to_python(py, &error)
    };
    match values {
        PerRow::One(value) => {
            knobs::check(argument, rule, *value, None).map_err(|error| refuse(error, None))?;
        }
        PerRow::Each(values) => {
            for (row, value) in values.iter().enumerate() {
                knobs::check(argument, rule, *value, Some(row)).map_err(|error| refuse(error, Some(row)))?;
            }
        }
    }
    Ok(())
}

/// One checked value for each row.
fn per_row<T: Copy + Into<Number>>(
    argument: &'static str,
    rule: Rule<T>,
    given: &Bound<'_, PyAny>,
    values: PerRow<T>,
    shape: Shape,
) -> PyResult<PerRow<T>> {
    if let PerRow::Each(each) = &values
        && (shape.is_row || each.len() != shape.count)
    {
        let wanted = if shape.is_row {
            "be one value for one row of logits".to_owned()
        } else {
            format!("have shape ({},)", shape.count)
        };
        let message = format!("{argument} must {wanted}, got shape ({},)", each.len());
        return Err(knob_error(given.py(), message, argument, (each.len(),)));
    }
    check(argument, rule, given, &values)?;
    Ok(values)
}

/// A knob that is a number for each row; `off` where it was not given.
pub fn numbers(
    argument: &'static str,
    rule: Rule<f64>,
    given: &Given<'_>,
    off: f64,
    shape: Shape,
) -> PyResult<PerRow<f64>> {
    match &given.0 {
        Some(value) => per_row(argument, rule, value, number_of(argument, value)?, shape),
        None => Ok(PerRow::One(off)),
    }
}

/// A knob that is a count for each row; 0 where it was not given. More than any vocabulary is all of it.
pub fn counts(
    argument: &'static str,
    rule: Rule<i128>,
    given: &Given<'_>,
    shape: Shape,
) -> PyResult<PerRow<usize>> {
    let Some(value) = &given.0 else { return Ok(PerRow::One(0)) };
    let clamp = |count: i128| count.clamp(0, u32::MAX.into()) as usize;
    Ok(match per_row(argument, rule, value, integer_of(argument, value)?, shape)? {
        PerRow::One(count) => PerRow::One(clamp(count)),
        PerRow::Each(counts) => PerRow::Each(counts.into_iter().map(clamp).collect()),
    })
}
