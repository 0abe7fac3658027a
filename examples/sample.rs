//! The crate without Python: a toy model's text, sampled and stopped. `cargo run --release --example sample`.
//!
//! The model knows which letter tends to follow which in a sentence. Each turn its logits become a token by
//! temperature and top-p, with chance from (seed, stream, position); the stop matcher ends the text, and gives out
//! nothing that may still belong to a stop.

use std::error::Error;
use std::io::Write;

use rheostat::scratch::Scratch;
use rheostat::stop::{Output, Piece, StopSet, Stream, Tie};
use rheostat::{Knobs, Step, chain, rng};

const TEXT: &str =
    "the rain in spain stays mainly in the plain and the train to the main station is late again. ";
const SEED: u64 = 7;

/// The logit of each byte after `last`: the logarithm of how often it followed; -inf forbids what never did.
fn logits(last: u8) -> Vec<f32> {
    let mut counts = [0.0_f32; 256];
    let bytes = TEXT.as_bytes();
    for pair in bytes.windows(2).filter(|pair| pair[0] == last) {
        counts[usize::from(pair[1])] += 1.0;
    }
    counts.map(f32::ln).to_vec()
}

fn main() -> Result<(), Box<dyn Error>> {
    let knobs = Knobs { temperature: 0.8, top_p: 0.9, ..Knobs::default() };
    let stops = StopSet::text(vec![b". ".as_slice().into()], Tie::First, false)?;

    let mut out = std::io::stdout().lock();
    let mut scratch = Scratch::default(); // kept from call to call: nothing is allocated in the loop
    let mut stream = Stream::default();
    let mut last = b' ';
    for position in 0..200 {
        let logits = logits(last);
        let mut kept = chain::keep(&logits, &knobs, &[Step::Temperature, Step::TopP], &mut scratch)?;
        let [u, ..] = rng::words(SEED, 0, position);
        last = u8::try_from(kept.draw(u))?;
        if let Output::Text(text) = stops.feed(&mut stream, Piece::Bytes(&[last]), true)? {
            out.write_all(text.as_bytes())?;
        }
        if stops.hit(&stream).is_some() {
            break;
        }
    }
    writeln!(out)?;
    Ok(())
}
