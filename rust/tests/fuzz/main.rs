//! Random cases without end against the naive twins: `cargo run --release --example fuzz -- chain --seconds 60`.
//!
//! A case is made from (target, seed, number) alone, so that two numbers reproduce what one has found.

#[path = "../common/adjust.rs"]
mod adjust;
mod chain;
#[path = "../common/naive.rs"]
mod naive;
mod random;
mod row_cases;
mod rows;
#[path = "../common/standing.rs"]
mod standing;
#[path = "../common/stop.rs"]
mod stop;
mod stops;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use random::Random;

const USAGE: &str = "usage: fuzz chain|rows|stops [--seconds S] [--cases N] [--seed S] [--first N]";

/// A case of this number: what it was, in a few lines, and what is wrong with it.
type Target = fn(Random, u64) -> Result<(), String>;

struct Wanted {
    name: String,
    target: Target,
    seconds: u64,
    cases: u64,
    seed: u64,
    first: u64,
}

/// The command line; without limits a minute.
fn wanted() -> Option<Wanted> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next()?;
    let target = match name.as_str() {
        "chain" => chain::check as Target,
        "rows" => rows::check,
        "stops" => stops::check as Target,
        _ => return None,
    };
    let mut wanted = Wanted { name, target, seconds: 0, cases: 0, seed: 0, first: 0 };
    while let Some(option) = arguments.next() {
        let value = arguments.next()?.parse().ok()?;
        match option.as_str() {
            "--seconds" => wanted.seconds = value,
            "--cases" => wanted.cases = value,
            "--seed" => wanted.seed = value,
            "--first" => wanted.first = value,
            _ => return None,
        }
    }
    if wanted.cases == 0 {
        wanted.seconds = if wanted.seconds == 0 { 60 } else { wanted.seconds };
        wanted.cases = u64::MAX - wanted.first;
    }
    Some(wanted)
}

fn main() -> ExitCode {
    let Some(Wanted { name, target, seconds, cases, seed, first }) = wanted() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let begun = Instant::now();
    let limit = if seconds == 0 { Duration::MAX } else { Duration::from_secs(seconds) };
    let mut done = 0;
    while done < cases && begun.elapsed() < limit {
        let number = first + done;
        // A panic in the code under test is a finding too: its message comes before these lines.
        let found = std::panic::catch_unwind(|| target(Random::new(seed, number), number))
            .unwrap_or_else(|_| Err("a panic".to_owned()));
        if let Err(what) = found {
            eprintln!("{name}: case {number} of seed {seed} differs from its twin\n{what}");
            eprintln!(
                "again: cargo run --release --example fuzz -- {name} --seed {seed} --first {number} --cases 1"
            );
            return ExitCode::FAILURE;
        }
        done += 1;
        if done % 1_000_000 == 0 {
            println!("{name}: {done} cases, {:.0} s", begun.elapsed().as_secs_f64());
        }
    }
    println!(
        "{name}: {done} cases in {:.0} s, seed {seed}: all as their twins",
        begun.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}
