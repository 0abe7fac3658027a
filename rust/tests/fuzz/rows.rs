//! A row where it stands, in each of its types, at any offset, under a mask, with changed logits: every way to read it,
//! and what a chain keeps, weighs and draws of it, against what it reads as.

use rheostat::chain::{self, Kept};
use rheostat::filters::store_kept;
use rheostat::logprobs::{logprobs, ranks};
use rheostat::row::{MOST_OF_PART, Row};
use rheostat::scratch::Scratch;
use rheostat::simd::{Cells, Level};
use rheostat::survey::Survey;
use rheostat::{Error, Knobs, Step, law, softmax};

use crate::chain as whole;
use crate::naive;
use crate::random::Random;
use crate::row_cases;

/// Rows up to this length meet every filter: the twin takes time that grows faster than they do.
const SHORT: usize = 100;

/// What the filters are to do, and which chances are asked.
#[derive(Debug)]
struct Asked {
    knobs: Knobs,
    steps: Vec<Step>,
    us: [u64; 3],
    /// A bound, or a place: whatever needs a number below 1.
    share: f64,
}

impl Asked {
    fn new(random: &mut Random, length: usize) -> Self {
        let (knobs, steps) = if length <= SHORT && random.once_in(3) {
            (whole::knobs(random), whole::steps(random))
        } else {
            filters(random)
        };
        let us = [random.word(), random.word(), random.pick(&[0, u64::MAX])];
        Self { knobs, steps, us, share: random.between(0.0, 1.0) }
    }
}

/// Those that read a row where it stands.
fn filters(random: &mut Random) -> (Knobs, Vec<Step>) {
    let temperatures = [0.0, 0.3, 0.7, 1.0, 1.5, 100.0, 1e-3, 1e-30, 1e30];
    let knobs = Knobs {
        temperature: if random.once_in(2) { random.between(0.2, 3.0) } else { random.pick(&temperatures) },
        top_k: if random.once_in(4) { 1 + random.below(100) } else { 0 },
        top_p: match random.below(6) {
            0 => 1.0,
            1 => random.between(0.9, 1.0),
            2 => random.pick(&[1e-9, 0.5, 0.999_999, 1.0 - 2.0_f64.powi(-53)]),
            _ => random.between(0.05, 1.0),
        },
        min_p: if random.once_in(4) { random.between(0.0, 1.0).powi(3) } else { 0.0 },
        ..Knobs::default()
    };
    let mut steps = vec![Step::Temperature, Step::MinP, Step::TopK, Step::TopP];
    if random.once_in(2) {
        steps.swap(random.below(4), random.below(4));
        steps.swap(random.below(4), random.below(4));
    }
    (knobs, steps)
}

/// An error unless both are the same. (Written out, every NaN is one.)
fn same<T: std::fmt::Debug + PartialEq>(what: &str, found: &T, wanted: &T) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (format!("{found:?}"), format!("{wanted:?}"));
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found}, not {wanted}")) }
}

/// The same for float32, bit by bit.
fn same_bits(what: &str, found: &[f32], wanted: &[f32]) -> Result<(), String> {
    let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
    match found.iter().zip(wanted).position(differs) {
        None => same(what, &found.len(), &wanted.len()),
        Some(at) => Err(format!("{what}: {:?}, not {:?} at {at}", found[at], wanted[at])),
    }
}

/// The row as it is read, whole, in parts and one by one; its maximum, or why it is none.
fn read(row: Row<'_>, wide: &[f32], asked: &Asked) -> Result<Option<f32>, String> {
    same("length", &row.len(), &wide.len())?;
    let from = (asked.share * wide.len() as f64) as usize;
    same("one logit", &row.logit(from), &wide[from])?;
    let part = from / 16 * 16..wide.len().min(from + MOST_OF_PART / 2);
    row.with_part(part.clone(), |found| same_bits("a part", found, &wide[part.clone()]))?;
    let mut stored = vec![7.0; part.len()];
    row.store_part(part.start, &mut stored);
    same_bits("a stored part", &stored, &wide[part])?;

    // A maximum of 0 may have either sign.
    let unsigned = |checked: Result<f32, Error>| checked.map(|maximum| maximum + 0.0);
    let wanted = unsigned(naive::check(wide));
    same("check", &unsigned(row.check()), &wanted)?;
    let (mut cells, mut xs, mut ids) = (Cells::default(), vec![1.0], vec![2]);
    same("check with peaks", &unsigned(row.check_with_peaks(&mut cells)), &wanted)?;
    if let Some(words) = row.source().allowed {
        same("check of few", &unsigned(row.gather_few(words, &mut xs, &mut ids)), &wanted)?;
        if wanted.is_ok() {
            listed("few", f32::MIN, &xs, &ids, wide)?;
        }
    }
    let Ok(maximum) = wanted else { return Ok(None) };
    let low = [wide[from].max(f32::MIN), maximum - asked.share as f32 * 10.0][asked.us[0] as usize % 2];
    row.gather(low, &mut xs, &mut ids);
    listed("gathered", low, &xs, &ids, wide)?;
    row.gather_from_cells(&cells, (low, low), &mut xs, &mut ids);
    listed("gathered from cells", low, &xs, &ids, wide)?;
    Ok(Some(maximum))
}

/// Whether the lists hold the logits of at least `low`, in order.
fn listed(what: &str, low: f32, xs: &[f32], ids: &[u32], wide: &[f32]) -> Result<(), String> {
    let (wanted_ids, wanted): (Vec<u32>, Vec<f32>) =
        (0..).zip(wide.iter().copied()).filter(|(_, x)| *x >= low).unzip();
    same(what, &ids, &wanted_ids.as_slice())?;
    same_bits(what, xs, &wanted)
}

/// What one read promises of the row: its maximum, an interval for Z, a draw where it can tell.
fn surveyed(row: Row<'_>, wide: &[f32], maximum: f32, asked: &Asked) -> Result<(), String> {
    let temperature = Some(asked.knobs.temperature).filter(|t| *t > 0.0).unwrap_or(1.0);
    let (mut cells, mut weights) = (Cells::default(), vec![]);
    let Some(survey) = Survey::of(row, law::scale_of(temperature), &mut cells) else { return Ok(()) };
    same("maximum of a survey", &(survey.maximum(row, &cells) + 0.0), &maximum)?;
    let z = wide.iter().map(|x| naive::integer_weight(*x, maximum, temperature)).sum();
    let (low, high) = survey.sum_between(maximum, wide.len());
    if !(low..=high).contains(&z) {
        return Err(format!("sum {z} is not in {low} ..= {high} of a survey"));
    }
    let ids: Vec<usize> = (0..wide.len()).filter(|id| wide[*id] > f32::NEG_INFINITY).collect();
    for u in asked.us {
        if let Some(token) = survey.draw(row, maximum, u, &cells, &mut weights) {
            same("draw of a survey", &token, &naive::draw(wide, &ids, temperature, u))?;
        }
    }
    Ok(())
}

/// What the chain keeps, and all that is told of it.
fn kept(row: Row<'_>, wide: &[f32], asked: &Asked) -> Result<(), String> {
    let Asked { knobs, steps, us, share } = asked;
    let (ids, temperature) = naive::keep(wide, knobs, steps);
    let xs: Vec<f32> = ids.iter().map(|id| wide[*id]).collect();
    let m = naive::maximum(&xs) + 0.0;
    let s: u64 = xs.iter().map(|x| naive::integer_weight(*x, m, temperature)).sum();

    let mut scratch = Scratch::default();
    let scale = chain::first_scale(steps.iter().copied(), knobs);
    let mut kept = Kept::read(row, scale, &mut scratch).map_err(|error| format!("refused: {error}"))?;
    for step in steps {
        kept.take(*step, knobs);
    }
    for u in us {
        same("drawn", &kept.draw(*u), &naive::draw(wide, &ids, temperature, *u))?;
    }
    same("kept", &kept.tokens().map(|(id, _)| id).collect(), &ids)?;
    let told = (kept.count(), kept.maximum() + 0.0, kept.temperature(), kept.weight());
    same("count, maximum, temperature, weight", &told, &(ids.len(), m, temperature, s))?;
    let (mut stored, mut wanted) = (vec![7.0; wide.len()], vec![f32::NEG_INFINITY; wide.len()]);
    store_kept(&kept, &mut stored);
    for id in &ids {
        wanted[*id] = wide[*id];
    }
    same_bits("stored", &stored, &wanted)?;

    let tokens = [ids[us[1] as usize % ids.len()] as u32, (share * wide.len() as f64) as u32];
    let log_p = |id: usize| {
        (f64::from(wide[id]) - f64::from(m)) / temperature - naive::ln(s as f64 / 2.0_f64.powi(43)) + 0.0
    };
    let own =
        tokens.map(|id| if ids.contains(&(id as usize)) { log_p(id as usize) } else { f64::NEG_INFINITY });
    let mut best = ids.clone();
    best.sort_by(|a, b| (wide[*b] + 0.0).total_cmp(&(wide[*a] + 0.0)).then(a.cmp(b)));
    best.truncate((us[0] % 8) as usize);
    let best: Vec<(u32, f64)> = best.into_iter().map(|id| (id as u32, log_p(id))).collect();
    same("logprobs", &logprobs(kept, &tokens, (us[0] % 8) as usize), &(own.to_vec(), best))?;
    let wanted = tokens.map(|id| naive::rank(wide, id as usize)).to_vec();
    same("ranks", &ranks(row.logits(), &tokens), &wanted)
}

/// The probabilities, at a temperature above 0, of the copy that the row gives.
fn probabilities(row: Row<'_>, wide: &[f32], temperature: f64) -> Result<(), String> {
    let (wanted, wanted_logs) = naive::softmax(wide, temperature);
    same_bits("copy", row.logits(), wide)?;
    let maximum = law::check_row(row.logits()).map_err(|error| error.to_string())?;
    let mut out = vec![7.0; wide.len()];
    softmax::softmax(row.logits(), maximum, temperature, &mut out);
    same_bits("softmax", &out, &wanted)?;
    softmax::log_softmax(row.logits(), maximum, temperature, &mut out);
    same_bits("log_softmax", &out, &wanted_logs)
}

/// Everything in turn.
fn all(row: Row<'_>, wide: &[f32], asked: &Asked) -> Result<(), String> {
    let Some(maximum) = read(row, wide, asked)? else {
        let read = Kept::read(row, Some(1.5), &mut Scratch::default()).map(|_| 0.0);
        return same("read", &read, &naive::check(wide));
    };
    surveyed(row, wide, maximum, asked)?;
    kept(row, wide, asked)?;
    match asked.knobs.temperature {
        0.0 => Ok(()),
        temperature => probabilities(row, wide, temperature),
    }
}

pub fn check(mut random: Random, _number: u64) -> Result<(), String> {
    let random = &mut random;
    let (case, offset) = (row_cases::case(random), random.below(32));
    let asked = Asked::new(random, case.wide.len());
    let levels: Vec<Level> = Level::available().collect();
    let level = random.pick(&levels);
    level.make_current();
    case.with(offset, |row, wide| all(row, wide, &asked))
        .map_err(|what| format!("{what}\nlevel = {}, offset = {offset}\n{asked:?}\n{case:?}", level.name()))
}
