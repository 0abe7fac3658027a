//! One enum, one variant per broken promise. Each prints as one sentence that names the argument,
//! the rule and the value.

use std::fmt;

/// What a caller or a model did wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// A knob breaks its rule: the caller's fault.
    Knob {
        /// The argument's name.
        argument: &'static str,
        /// What it must be, as in `must be in (0, 1]`.
        rule: &'static str,
        /// The offending value.
        value: Number,
        /// The row it belongs to, where the knob has one value per row.
        row: Option<usize>,
    },
    /// A logit is NaN, `+inf`, or becomes infinite as a float32: the model's fault.
    Logit {
        /// The lowest row with such a logit.
        row: usize,
        /// The lowest such token in that row.
        token: usize,
        /// The logit.
        value: f64,
    },
    /// A row without a finite logit: the model's fault.
    NoFiniteLogit {
        /// The lowest such row.
        row: usize,
    },
    /// Masks forbid every token of a row: the caller's fault.
    NothingLeft {
        /// The arguments that did it together, in the order in which they act; at least one.
        names: Vec<&'static str>,
        /// The lowest such row.
        row: usize,
    },
    /// A bias or a penalty takes a logit to `+inf`: the caller's fault.
    Infinite {
        /// The argument's name.
        argument: &'static str,
        /// Its value.
        value: f64,
        /// The lowest row with such a logit.
        row: usize,
        /// The lowest such token in that row.
        token: usize,
    },
    /// A temperature so small that a kept logit divided by it is infinite: the caller's fault.
    InfiniteQuotient {
        /// The temperature.
        temperature: f64,
        /// The lowest such row.
        row: usize,
        /// The lowest such token in that row.
        token: usize,
    },
    /// More distinct tokens are wanted than a row's kept set can give: the caller's fault.
    TooFewTokens {
        /// The lowest such row.
        row: usize,
        /// How many are wanted.
        wanted: i128,
        /// How many kept tokens have a weight.
        available: usize,
    },
    /// The environment variable `RHEOSTAT_SIMD` names no level.
    UnknownLevel {
        /// What it names.
        name: String,
    },
    /// A stop sequence without a symbol would stop everything, everywhere.
    EmptyStop {
        /// Its place in the list.
        index: usize,
    },
    /// A matcher that was armed is fed unarmed.
    Disarmed {
        /// The row, in a batch.
        row: Option<usize>,
    },
    /// A matcher is fed after its end was flushed.
    FedAfterFlush {
        /// The row, in a batch.
        row: Option<usize>,
    },
    /// A stop set of bytes is fed token ids, or the other way round.
    WrongSymbols,
    /// A saved matcher state that no matcher can be in.
    BadState,
    /// Bytes that are no snapshot of a sampler.
    Snapshot {
        /// What they must be.
        rule: String,
        /// What they are.
        got: String,
    },
}

/// The value in an error's sentence: printed to the letter as Python's `repr` prints it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A float.
    Float(f64),
    /// An integer, wide enough for any u64.
    Int(i128),
}

impl Error {
    /// The same error in another row: a row is checked on its own, its place is known outside.
    #[must_use]
    pub fn in_row(self, at: usize) -> Self {
        match self {
            Self::Logit { token, value, .. } => Self::Logit { row: at, token, value },
            Self::NoFiniteLogit { .. } => Self::NoFiniteLogit { row: at },
            Self::NothingLeft { names, .. } => Self::NothingLeft { names, row: at },
            Self::Infinite { argument, value, token, .. } => {
                Self::Infinite { argument, value, row: at, token }
            }
            Self::InfiniteQuotient { temperature, token, .. } => {
                Self::InfiniteQuotient { temperature, row: at, token }
            }
            Self::TooFewTokens { wanted, available, .. } => Self::TooFewTokens { row: at, wanted, available },
            Self::Disarmed { .. } => Self::Disarmed { row: Some(at) },
            Self::FedAfterFlush { .. } => Self::FedAfterFlush { row: Some(at) },
            other => other,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) => write_float(f, *value),
            Self::Int(value) => write!(f, "{value}"),
        }
    }
}

/// The fewest digits that give the value back, and of those the nearest to it: where two are as near, Rust's own
/// shortest takes the upper one, Python the even one.
fn write_float(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_nan() {
        return f.write_str("nan");
    }
    if value.is_infinite() {
        return f.write_str(if value > 0.0 { "inf" } else { "-inf" });
    }
    let shortest = format!("{:e}", value.abs()); // 1.25e-7
    let count = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let nearest = format!("{:.*e}", count - 1, value.abs());
    let text = if nearest.parse() == Ok(value.abs()) { nearest } else { shortest };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value.is_sign_negative() {
        f.write_str("-")?;
    }
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(f, "{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let mut digits = digits.replace('.', "");
    if exponent < 0 {
        return write!(f, "0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    }
    let whole = exponent as usize + 1;
    while digits.len() <= whole {
        digits.push('0');
    }
    write!(f, "{}.{}", &digits[..whole], &digits[whole..])
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Knob { argument, rule, value, row: None } => {
                write!(f, "{argument} {rule}, got {value}")
            }
            Self::Knob { argument, rule, value, row: Some(row) } => {
                write!(f, "{argument} {rule}, got {value} for row {row}")
            }
            Self::Logit { row, token, value } => {
                let value = Number::Float(*value);
                write!(f, "logits must be finite or -inf, got {value} at row {row}, token {token}")
            }
            Self::NoFiniteLogit { row } => {
                write!(f, "logits must have a finite value in every row, got none in row {row}")
            }
            Self::NothingLeft { names, row } => {
                let together = if names.len() > 1 { " together" } else { "" };
                let names = names.join(" and ");
                write!(f, "{names} must leave at least one token{together}, got none in row {row}")
            }
            Self::Infinite { argument, value, row, token } => {
                let value = Number::Float(*value);
                write!(
                    f,
                    "{argument} must leave every logit below +inf, got {value} which does not at row {row}, \
                     token {token}"
                )
            }
            Self::InfiniteQuotient { temperature, row, token } => {
                let temperature = Number::Float(*temperature);
                write!(
                    f,
                    "temperature must leave kept logits finite in float32, got {temperature} which does not at \
                     row {row}, token {token}"
                )
            }
            Self::TooFewTokens { row, wanted, available } => write!(
                f,
                "n must be at most the number of kept tokens that have a weight, \
                 got {wanted} for {available} in row {row}"
            ),
            Self::UnknownLevel { name } => {
                write!(f, "RHEOSTAT_SIMD must be scalar, avx2, avx512 or neon, got '{name}'")
            }
            Self::EmptyStop { index } => write!(f, "stops[{index}] must not be empty"),
            Self::Disarmed { row } => {
                write!(f, "armed must stay True once it was True, got False{}", Place(*row))
            }
            Self::FedAfterFlush { row } => {
                write!(f, "feed must not follow flush without a reset{}", Place(*row))
            }
            Self::WrongSymbols => f.write_str("piece must be of the stop set's symbols"),
            Self::Snapshot { rule, got } => write!(f, "state {rule}, got {got}"),
            Self::BadState => f.write_str("state must be one that a matcher wrote"),
        }
    }
}

/// Which row, where there are several.
struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |row| write!(f, " for row {row}"))
    }
}

impl std::error::Error for Error {}
