//! The stop machinery against naive twins, on random stops over tiny alphabets.

mod common;

use std::sync::Arc;

use common::stop::{naive_finish, naive_hold};
use proptest::prelude::*;
use rheostat::Error;
use rheostat::stop::{Batch, Feed, Output, Pending, Phase, Piece, StopSet, Stream, Tie};

fn bytes_set(stops: &[Vec<u8>], tie: Tie, include: bool) -> StopSet {
    let stops = stops.iter().map(|stop| stop.clone().into_boxed_slice()).collect();
    StopSet::bytes(stops, tie, include).expect("no stop is empty")
}

fn ids_set(stops: &[Vec<u8>], tie: Tie, include: bool) -> StopSet {
    let wide = |stop: &Vec<u8>| stop.iter().map(|&byte| u32::from(byte) << 24 | 7).collect();
    StopSet::tokens(stops.iter().map(wide).collect(), tie, include).expect("no stop is empty")
}

fn wide(piece: &[u8]) -> Vec<u32> {
    piece.iter().map(|&byte| u32::from(byte) << 24 | 7).collect()
}

fn unwrap_bytes(output: Output<'_>) -> Vec<u8> {
    match output {
        Output::Bytes(bytes) => bytes.into_owned(),
        Output::Ids(ids) => ids.iter().map(|id| (id >> 24) as u8).collect(),
        Output::Text(text) => text.as_bytes().to_vec(),
    }
}

fn held_len(set: &StopSet, stream: &Stream) -> usize {
    match set.held(stream) {
        Piece::Bytes(bytes) => bytes.len(),
        Piece::Ids(ids) => ids.len(),
    }
}

fn letters(min: usize, max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0_u8..3, min..=max)
}

fn stop_lists() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(letters(1, 5), 0..5)
}

fn ties() -> impl Strategy<Value = Tie> {
    prop_oneof![Just(Tie::First), Just(Tie::Longest)]
}

/// What the set is to be fed with, of the two.
fn as_piece<'a>(set: &StopSet, bytes: &'a [u8], ids: &'a [u32]) -> Piece<'a> {
    if set.kind().name() == "tokens" { Piece::Ids(ids) } else { Piece::Bytes(bytes) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn streaming_matches_naive(
        stops in stop_lists(),
        pieces in prop::collection::vec(letters(0, 4), 0..8),
        unarmed in 0_usize..4,
        tie in ties(),
        include in any::<bool>(),
    ) {
        for set in [bytes_set(&stops, tie, include), ids_set(&stops, tie, include)] {
            let (mut stream, mut text, mut given) = (Stream::default(), Vec::new(), Vec::new());
            let mut unarmed_length = 0;
            for (number, piece) in pieces.iter().enumerate() {
                let armed = number >= unarmed;
                text.extend_from_slice(piece);
                if !armed {
                    unarmed_length = text.len();
                }
                let ids = wide(piece);
                let ids = if set.kind().name() == "tokens" { Piece::Ids(&ids) } else { Piece::Bytes(piece) };
                given.extend(unwrap_bytes(set.feed(&mut stream, ids, armed).expect("armed once, armed always")));

                let finish = naive_finish(&stops, tie, &text, unarmed_length);
                prop_assert_eq!(set.hit(&stream).map(|hit| (hit.index, hit.end as usize)), finish);
                let safe = match finish {
                    Some((_, end)) if include => end,
                    Some((index, end)) => end - stops[index].len(),
                    None if include => text.len(),
                    None => text.len() - naive_hold(&stops, tie, &text, armed),
                };
                prop_assert_eq!(&given, &text[..safe]);
                prop_assert_eq!(set.emitted(&stream), safe as u64);
                prop_assert_eq!(set.restore(&set.save(&stream)), Ok(stream));
                if let Some((_, end)) = finish {
                    prop_assert_eq!(set.hit(&stream).map(|hit| hit.discarded), Some((text.len() - end) as u64));
                    break;
                }
                prop_assert_eq!(held_len(&set, &stream), text.len() - safe);
            }
            given.extend(unwrap_bytes(set.flush(&mut stream)));
            prop_assert!(set.hit(&stream).is_some() || given == text);
        }
    }

    #[test]
    fn find_matches_naive(stops in stop_lists(), text in letters(0, 20), tie in ties()) {
        let found = bytes_set(&stops, tie, false).find(Piece::Bytes(&text));
        let finish = naive_finish(&stops, tie, &text, 0);
        prop_assert_eq!(found.map(|hit| (hit.index, hit.end as usize)), finish);
    }

    #[test]
    fn unreachable_matches_naive(stops in stop_lists(), tie in ties()) {
        let wins = |i: &usize| naive_finish(&stops, tie, &stops[*i], 0) != Some((*i, stops[*i].len()));
        let expected: Vec<usize> = (0..stops.len()).filter(wins).collect();
        prop_assert_eq!(bytes_set(&stops, tie, false).unreachable(), expected);
    }

    #[test]
    fn feed_many_is_feed_piece_by_piece(
        stops in stop_lists(), pieces in prop::collection::vec(letters(0, 4), 0..6), armed_from in 0_usize..8,
        before in letters(0, 3), include: bool,
    ) {
        for set in [bytes_set(&stops, Tie::First, include), ids_set(&stops, Tie::First, include)] {
            let ids = |bytes: &[u8]| if set.kind().name() == "tokens" { wide(bytes) } else { vec![] };
            let mut one = Stream::default();
            set.feed(&mut one, as_piece(&set, &before, &ids(&before)), armed_from == 0).expect("fresh");
            let (mut many, mut given, mut used) = (one, Vec::new(), 0);
            for (number, piece) in pieces.iter().enumerate() {
                if one.phase() != Phase::Hit {
                    let ids = ids(piece);
                    let output = set.feed(&mut one, as_piece(&set, piece, &ids), number >= armed_from);
                    given.extend(unwrap_bytes(output.expect("armed once, armed always")));
                    used += 1;
                }
            }
            let ends: Vec<usize> = (1..=pieces.len()).map(|n| pieces[..n].concat().len()).collect();
            let whole = pieces.concat();
            let ids = ids(&whole);
            let fed = set.feed_many(&mut many, as_piece(&set, &whole, &ids), &ends, armed_from);
            let (output, count) = fed.expect("never flushed");
            prop_assert_eq!((unwrap_bytes(output), count, many), (given, used, one));
        }
    }

    #[test]
    fn decoding_in_pieces_matches_decoding_at_once(
        bytes in prop::collection::vec(prop_oneof![
            any::<u8>(), Just(0xE2), Just(0xED), Just(0xF0), Just(0xF4), 0x80_u8..0xC0
        ], 0..12),
        cut in 0_usize..12,
    ) {
        let (mut pending, mut text) = (Pending::default(), String::new());
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        pending.push(head, &mut text);
        pending.push(tail, &mut text);
        pending.close(&mut text);
        prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
    }
}

/// Tables of every size: u16 cells, u32 cells, links.
#[test]
fn every_table_matches_naive() {
    for (count, len) in [(3_usize, 10), (40, 80), (256, 80)] {
        let stops: Vec<Vec<u8>> = (0..count)
            .map(|i| (0..len).map(|k| if k + 1 < len { i as u8 } else { (i + 1) as u8 }).collect())
            .collect();
        let text: Vec<u8> =
            (0..4000).map(|k| (k / (len - 5) % count) as u8).chain(stops[2].clone()).collect();
        let set = bytes_set(&stops, Tie::First, false);
        let mut stream = Stream::default();
        for (at, piece) in text.chunks(7).enumerate() {
            set.feed(&mut stream, Piece::Bytes(piece), true).expect("never flushed");
            let read = text.len().min((at + 1) * 7);
            if stream.phase() != Phase::Hit && at % 50 == 0 {
                let tail = &text[read.saturating_sub(100)..read];
                assert_eq!(held_len(&set, &stream), naive_hold(&stops[..], Tie::First, tail, true));
            }
        }
        let expected = naive_finish(&stops, Tie::First, &text, 0);
        assert_eq!(set.hit(&stream).map(|hit| (hit.index, hit.end as usize)), expected);
        assert_eq!(expected.map(|(index, _)| index), Some(2));
    }
}

#[test]
fn a_row_is_at_most_40_bytes() {
    assert!(size_of::<Stream>() <= 40);
}

#[test]
fn broken_promises_are_errors_and_change_nothing() {
    let stop = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
    let empty = StopSet::text(vec![stop("a"), stop("")], Tie::First, false);
    assert_eq!(empty.err(), Some(Error::EmptyStop { index: 1 }));
    let long = StopSet::text(vec![vec![0; (1 << 20) + 1].into()], Tie::First, false);
    let message = "stops must hold at most 1048576 symbols in all, got 1048577";
    assert_eq!(long.err().map(|error| error.to_string()), Some(message.to_owned()));

    let set = StopSet::text(vec![stop("ab")], Tie::First, false).expect("a stop");
    let mut stream = Stream::default();
    set.feed(&mut stream, Piece::Bytes(b"a"), true).expect("fresh");
    let before = stream;
    assert_eq!(set.feed(&mut stream, Piece::Bytes(b"b"), false), Err(Error::Disarmed { row: None }));
    assert_eq!(set.feed(&mut stream, Piece::Ids(&[1]), true), Err(Error::WrongSymbols));
    assert_eq!(stream, before);
    set.flush(&mut stream);
    assert_eq!(set.feed(&mut stream, Piece::Bytes(b"b"), true), Err(Error::FedAfterFlush { row: None }));

    let mut saved = set.save(&before);
    saved.depth = 9;
    assert_eq!(set.restore(&saved), Err(Error::BadState));
    saved.fingerprint ^= 1;
    assert!(matches!(set.restore(&saved), Err(Error::Knob { argument: "state", .. })));
}

#[test]
fn a_batch_refuses_rows_that_do_not_exist_and_fails_as_a_whole() {
    let stops = vec![b"ab".to_vec().into_boxed_slice()];
    let set = Arc::new(StopSet::text(stops, Tie::First, false).expect("a stop"));
    let mut batch = Batch::new(vec![Arc::clone(&set), set]);
    let feed = |row, piece: &'static [u8]| Feed {
        row,
        piece: Piece::Bytes(piece),
        armed: true,
        is_text: !piece.is_empty(),
    };
    let give = |_: usize, piece: Piece<'_>, output: Option<Output<'_>>| match (output, piece) {
        (Some(output), _) => unwrap_bytes(output.into_owned()),
        (None, Piece::Bytes(piece)) => piece.to_vec(),
        (None, Piece::Ids(_)) => unreachable!("ids are no text"),
    };
    assert!(batch.feed([feed(0, b"ab"), feed(0, b"c"), feed(2, b"ab")].into_iter(), give).is_err());
    assert!(batch.hits().all(|hit| hit.is_none()));
    assert!(batch.flush(&[2]).is_err() && batch.reset(&[2]).is_err() && batch.reorder(&[2]).is_err());
    assert_eq!(batch.feed([feed(1, b"xa"), feed(1, b"")].into_iter(), give), Ok(vec![b"x".to_vec(), vec![]]));
    assert!(batch.reorder(&[1, 1]).is_ok());
    assert_eq!(batch.feed([feed(0, b"b")].into_iter(), give), Ok(vec![vec![]]));
    assert_eq!(batch.hits().map(|hit| hit.is_some()).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn text_that_is_given_out_as_it_is_changes_a_row_like_any_other() {
    let pieces = ["x", "a", "b", "E", "ND", "D", "é", "!", " the", "ab", "xé"];
    let stops = || ["ab", "END", "é!é"].map(|stop| stop.as_bytes().into()).to_vec();
    let mut random = 1_u64;
    let mut below = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 40) as usize % limit
    };
    let mut passed = 0;
    for turn in 0..2000 {
        let set = Arc::new(StopSet::text(stops(), Tie::First, turn % 2 == 0).expect("stops"));
        let mut batches = [Batch::new(vec![Arc::clone(&set)]), Batch::new(vec![set])];
        let armed_from = below(4);
        for step in 0..10 {
            let piece = pieces[below(pieces.len())].as_bytes();
            let [fed, other] = [true, false].map(|is_text| {
                let feed = Feed { row: 0, piece: Piece::Bytes(piece), armed: step >= armed_from, is_text };
                let give = |_: usize, _: Piece<'_>, output: Option<Output<'_>>| {
                    passed += usize::from(output.is_none());
                    output.map_or_else(|| piece.to_vec(), |output| unwrap_bytes(output.into_owned()))
                };
                batches[usize::from(is_text)].feed([feed].into_iter(), give)
            });
            assert_eq!(fed, other, "{piece:?}");
            let [hits, others] = [0, 1].map(|at| batches[at].hits().collect::<Vec<_>>());
            assert_eq!(hits, others);
        }
        let [held, others] = batches.each_mut().map(|batch| batch.flush(&[0]));
        assert_eq!(held, others);
    }
    assert!(passed > 2000, "{passed}");
}
