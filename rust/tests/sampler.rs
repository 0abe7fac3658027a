//! A sequence between two tokens, and mirostat's cut, against twins.

use proptest::prelude::*;
use rheostat::adjust::{Shaped, Shaping};
use rheostat::chain::Kept;
use rheostat::entropy::LogProbs;
use rheostat::history::History;
use rheostat::memory::{Memory, Needs};
use rheostat::mirostat::{Mirostat, surprise};
use rheostat::report::Wanted;
use rheostat::sampler::{self, Rules, Turn};
use rheostat::scratch::Scratch;
use rheostat::simd::Logits;
use rheostat::state::{Saved, State};
use rheostat::{Error, Knobs, Step, law};

prop_compose! {
    fn saved()(
        prompt in prop::collection::vec(0..50_u32, 0..9),
        output in prop::collection::vec(0..50_u32, 0..9),
        seed: u64,
        stream: u64,
        mu in prop::option::of(-1e300..1e300),
    ) -> Saved {
        Saved { history: History::new(&prompt, &output), seed, stream, mu }
    }
}

fn bytes_of(saved: &Saved) -> Vec<u8> {
    let mirostat = saved.mu.map(|_| Mirostat { tau: 5.0, eta: 0.1 });
    State::new(saved.clone(), Needs::default(), mirostat, 50).to_bytes()
}

proptest! {
    #[test]
    fn a_snapshot_gives_back_what_was_saved(saved in saved()) {
        prop_assert_eq!(Saved::from_bytes(&bytes_of(&saved), 50), Ok(saved));
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_refused_or_are_another(
        saved in saved(), at: prop::sample::Index, byte: u8, length: prop::sample::Index
    ) {
        let mut bytes = bytes_of(&saved);
        let short = &bytes[..length.index(bytes.len())];
        let refused = matches!(Saved::from_bytes(short, 50), Err(Error::Snapshot { .. }));
        prop_assert!(refused);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(other) = Saved::from_bytes(&bytes, 50) {
            prop_assert_eq!(bytes_of(&other), bytes);
        }
    }

    #[test]
    fn mirostat_keeps_what_naive_keeps(
        row in prop::collection::vec(
            prop_oneof![8 => -20.0_f32..20.0, 2 => (-3_i8..3).prop_map(f32::from), 1 => Just(f32::NEG_INFINITY)],
            1..60
        ),
        temperature in prop_oneof![Just(1.0), 0.1_f64..4.0],
        top_k in 0_usize..20,
        mu in prop_oneof![-1.0_f64..20.0, Just(f64::INFINITY), Just(f64::NAN), (0_u8..8).prop_map(f64::from)],
    ) {
        let Ok(maximum) = law::check_row(&row) else { return Ok(()) };
        let knobs = Knobs { temperature, top_k, ..Knobs::default() };
        let mut scratch = Scratch::default();
        let mut kept = Kept::whole(row.as_slice().into(), maximum, &mut scratch);
        kept.take(Step::Temperature, &knobs);
        kept.take(Step::TopK, &knobs);
        let log_probs = LogProbs::new(kept.maximum(), kept.temperature(), kept.weight());
        let tokens: Vec<_> = kept.tokens().collect();
        let first = tokens.iter().find(|(_, x)| *x == maximum).map(|(id, _)| *id);
        let naive: Vec<_> = tokens.into_iter()
            .filter(|(id, x)| surprise(&log_probs, *x) <= mu || Some(*id) == first)
            .collect();
        kept.keep_unsurprising(mu);
        prop_assert_eq!(kept.tokens().collect::<Vec<_>>(), naive);
    }
}

/// What a memory tells, in an order of its own.
fn told(memory: &Memory, history: &History, n: usize) -> [Vec<(u32, u32)>; 3] {
    let ends = if n > 0 { memory.ends_of_ngrams(history, n) } else { vec![] };
    let mut ends: Vec<_> = ends.into_iter().map(|id| (id, 0)).collect();
    ends.sort_unstable();
    ends.dedup();
    let [mut repeated, mut counted] = [memory.repeated().to_vec(), memory.counted().to_vec()];
    repeated.sort_unstable();
    counted.sort_unstable();
    [repeated, counted, ends]
}

proptest! {
    #[test]
    fn a_restored_state_remembers_what_a_new_one_does(
        prompt in prop::collection::vec(0..4_u32, 0..9),
        outputs in prop::collection::vec(prop::collection::vec(0..4_u32, 0..40), 1..6),
        last_n in prop::option::of(0_usize..9),
        ngram in prop_oneof![0_usize..5, Just(1 << 32), Just(usize::MAX)],
        counted: bool,
    ) {
        let needs = Needs { repeated: true, counted, last_n, ngram };
        let saved = |output: &[u32]| {
            Saved { history: History::new(&prompt, output), seed: output.len() as u64, stream: 1, mu: None }
        };
        let mut state = State::new(saved(&[]), needs, None, 4);
        for output in &outputs {
            state.restore(saved(output), None);
            let fresh = Memory::for_one_call(state.history(), needs, 4);
            prop_assert_eq!(state.history(), &saved(output).history);
            prop_assert_eq!((state.seed, state.position()), (output.len() as u64, output.len() as u64));
            prop_assert_eq!(
                told(state.moment(None).memory, state.history(), ngram), told(&fresh, state.history(), ngram)
            );
            state.extend(&output[..output.len() / 3]);
            let fresh = Memory::for_one_call(state.history(), needs, 4);
            prop_assert_eq!(
                told(state.moment(None).memory, state.history(), ngram), told(&fresh, state.history(), ngram)
            );
        }
    }
}

#[test]
fn a_follower_that_came_often_is_told_once() {
    let mut state = State::new(
        Saved { history: History::new(&[], &[]), seed: 0, stream: 0, mu: None },
        Needs { ngram: 1, ..Needs::default() },
        None,
        10,
    );
    state.extend(&[3, 3, 7, 3, 7, 7, 3]);
    let moment = state.moment(None);
    let mut ends = moment.memory.ends_of_ngrams(moment.history, 1);
    ends.sort_unstable();
    assert_eq!(ends, [3, 7]);
}

#[test]
fn a_draw_changes_nothing_and_moving_on_is_by_one_token() {
    let rules = Rules {
        shaping: Shaping::default(),
        knobs: Knobs { temperature: 0.0, ..Knobs::default() },
        mirostat: Some(Mirostat { tau: 2.0, eta: 0.5 }),
        wanted: Wanted { logprob: true, kept_mass: true, ..Wanted::default() },
    };
    let start = Saved { history: History::new(&[1], &[]), seed: 3, stream: 0, mu: None };
    let mut state = State::new(start, rules.shaping.needs(), rules.mirostat, 3);
    let before = state.to_bytes();
    let turn = Turn { logits: Logits::F32(&[1.0, 3.0, 2.0]), at: 0, bitmask: None, kept: true };
    let chain = [Step::Temperature].as_slice();
    let drawn = sampler::draw(&rules, chain, &state, turn, &mut Shaped::default(), &mut Scratch::default())
        .expect("a good row");
    assert_eq!(
        (drawn.id, drawn.logprob, drawn.kept_mass, drawn.kept.clone()),
        (1, Some(0.0), Some(1.0), Some(vec![1]))
    );
    assert_eq!((drawn.entropy, drawn.rank), (None, None));
    assert_eq!(state.to_bytes(), before);
    sampler::accept(&rules, &mut state, &drawn);
    assert_eq!((state.position(), state.history().all(), state.mu), (1, &[1, 1][..], Some(4.0 + 0.5 * 2.0)));
}
