//! What a token allocates once the buffers have their size: nothing but what is told of it.

use half::f16;
use rheostat::adjust::{Shaped, Shaping};
use rheostat::history::History;
use rheostat::knobs::PRESETS;
use rheostat::report::Wanted;
use rheostat::sampler::{self, Rules, Turn};
use rheostat::scratch::Scratch;
use rheostat::simd::Logits;
use rheostat::state::{Saved, State};
use rheostat::stop::{Batch, Feed, Piece, StopSet, Tie};
use rheostat::{Knobs, Step};
use std::sync::Arc;

/// A row with a peak at the front: short, or long enough to be surveyed.
fn peaked(vocab: usize) -> Vec<f32> {
    (0..vocab).map(|id| 12.0 / (1.0 + id as f32) + (id * 7919 % 97) as f32 * 0.01).collect()
}

/// One whose nucleus is wide.
fn flat(vocab: usize) -> Vec<f32> {
    (0..vocab).map(|id| (id * 7919 % 10_007) as f32 * 1e-4).collect()
}

/// How many blocks the third of three tokens allocates, by the chain of transformers, which names most filters.
fn blocks_of_a_token(logits: Logits<'_>, knobs: Knobs, wanted: Wanted) -> u64 {
    let rules = Rules { shaping: Shaping::default(), knobs, mirostat: None, wanted };
    let history = History::new(&[0; 60], &[]); // with room for what comes
    let saved = Saved { history, seed: 7, stream: 0, mu: None };
    let mut state = State::new(saved, rules.shaping.needs(), None, logits.len());
    let (mut scratch, mut shaped) = (Scratch::default(), Shaped::default());
    let mut token = || {
        let turn = Turn { logits, at: 0, bitmask: None, kept: false };
        let chain: &[Step] = PRESETS[1].1;
        let drawn = sampler::draw(&rules, chain, &state, turn, &mut shaped, &mut scratch);
        sampler::accept(&rules, &mut state, &drawn.expect("a row"));
    };
    token();
    token();
    allocation_counter::measure(token).count_total
}

#[test]
fn a_token_allocates_nothing() {
    let rows = [peaked(32), flat(32), peaked(40), flat(500), peaked(5_000), flat(20_000)];
    let knobs = [
        Knobs::default(),
        Knobs { temperature: 0.0, ..Knobs::default() },
        Knobs { temperature: 0.8, top_p: 0.9, ..Knobs::default() },
        Knobs { temperature: 1.5, top_k: 40, top_p: 0.95, min_p: 0.05, ..Knobs::default() },
        Knobs { typical_p: 0.9, epsilon_cutoff: 1e-4, eta_cutoff: 1e-3, top_h: 0.7, ..Knobs::default() },
    ];
    for (row, knobs) in rows.iter().flat_map(|row| knobs.map(|knobs| (row, knobs))) {
        let told =
            Wanted { logprob: true, raw_logprob: true, rank: true, kept_count: true, ..Wanted::default() };
        for wanted in [Wanted::default(), told] {
            let halves: Vec<f16> = row.iter().map(|x| f16::from_f32(*x)).collect();
            for logits in [Logits::F32(row), Logits::F16(&halves)] {
                let blocks = blocks_of_a_token(logits, knobs, wanted);
                assert_eq!(blocks, 0, "{} logits, {knobs:?}, {wanted:?}", row.len());
            }
        }
    }
}

#[test]
fn the_best_tokens_are_a_list() {
    let wanted = Wanted { logprob: true, top: 5, ..Wanted::default() };
    let knobs = Knobs { temperature: 0.8, top_p: 0.9, ..Knobs::default() };
    for row in [peaked(32), peaked(5_000)] {
        assert!(blocks_of_a_token(Logits::F32(&row), knobs, wanted) <= 3);
    }
}

#[test]
fn a_step_of_many_streams_allocates_its_list() {
    let stops = vec![b"END".to_vec().into_boxed_slice()];
    let set = Arc::new(StopSet::text(stops, Tie::First, false).expect("a stop"));
    let mut batch = Batch::new(vec![set; 32]);
    let mut step = || {
        let feeds = (0..32).map(|row| Feed { row, piece: Piece::Bytes(b" the"), armed: true, is_text: true });
        let whole = batch.feed(feeds, |_, _, output| output.is_none());
        assert_eq!(whole, Ok(vec![true; 32]));
    };
    step();
    assert_eq!(allocation_counter::measure(step).count_total, 2, "the list, and the one it is compared with");
}
