//! Stops over a tiny alphabet, and a stream of them in pieces: what is given out, held and hit after each.

use rheostat::stop::{Output, Phase, Piece, StopSet, Stream, Tie};

use crate::random::Random;
use crate::stop::{naive_finish, naive_hold};

fn letters(random: &mut Random, most: usize) -> Vec<u8> {
    random.some(most, |random| b'a' + random.below(3) as u8)
}

/// As ids that differ in their high bits alone.
fn wide(letters: &[u8]) -> Vec<u32> {
    letters.iter().map(|letter| u32::from(*letter) << 24 | 7).collect()
}

fn given(output: Output<'_>) -> Vec<u8> {
    match output {
        Output::Text(text) => text.as_bytes().to_vec(),
        Output::Bytes(bytes) => bytes.into_owned(),
        Output::Ids(ids) => ids.iter().map(|id| (id >> 24) as u8).collect(),
    }
}

fn held(set: &StopSet, stream: &Stream) -> usize {
    match set.held(stream) {
        Piece::Bytes(bytes) => bytes.len(),
        Piece::Ids(ids) => ids.len(),
    }
}

pub fn check(mut random: Random, number: u64) -> Result<(), String> {
    let random = &mut random;
    let stops: Vec<Vec<u8>> =
        random.some(5, |random| letters(random, 6)).into_iter().filter(|stop| !stop.is_empty()).collect();
    let pieces = random.some(8, |random| letters(random, 5));
    let tie = random.pick(&[Tie::First, Tie::Longest]);
    let (include, unarmed) = (random.once_in(2), random.below(4));
    let boxed = || stops.iter().map(|stop| stop.clone().into_boxed_slice()).collect();
    let set = match number % 3 {
        0 => StopSet::text(boxed(), tie, include),
        1 => StopSet::bytes(boxed(), tie, include),
        _ => StopSet::tokens(stops.iter().map(|stop| wide(stop).into()).collect(), tie, include),
    };
    let told = |what: String| {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let (stops, pieces): (Vec<_>, Vec<_>) =
            (stops.iter().map(text).collect(), pieces.iter().map(text).collect());
        format!(
            "{what}\nstops = {stops:?}, {tie:?}, include = {include}\npieces = {pieces:?}, {unarmed} unarmed"
        )
    };
    let set = set.map_err(|error| told(error.to_string()))?;

    let (mut stream, mut read, mut out, mut before_arming) = (Stream::default(), vec![], vec![], 0);
    for (at, piece) in pieces.iter().enumerate() {
        let armed = at >= unarmed;
        let ids = wide(piece);
        let symbols = if number % 3 == 2 { Piece::Ids(&ids) } else { Piece::Bytes(piece) };
        let output = set.feed(&mut stream, symbols, armed).map_err(|error| told(error.to_string()))?;
        out.extend(given(output));
        read.extend_from_slice(piece);
        if !armed {
            before_arming = read.len();
        }
        let finish = naive_finish(&stops, tie, &read, before_arming);
        let hit = set.hit(&stream).map(|hit| (hit.index, hit.end as usize));
        let safe = match finish {
            Some((_, end)) if include => end,
            Some((index, end)) => end - stops[index].len(),
            None if include => read.len(),
            None => read.len() - naive_hold(&stops, tie, &read, armed),
        };
        if hit != finish || out != read[..safe] {
            let out = String::from_utf8_lossy(&out);
            return Err(told(format!(
                "piece {at}: hit {hit:?}, not {finish:?}; {out:?} out, not {safe} letters"
            )));
        }
        if set.restore(&set.save(&stream)) != Ok(stream) {
            return Err(told(format!("piece {at}: another stream comes back")));
        }
        if stream.phase() == Phase::Hit {
            return Ok(());
        }
        if !include && held(&set, &stream) != read.len() - safe {
            return Err(told(format!("piece {at}: {} held, not {}", held(&set, &stream), read.len() - safe)));
        }
    }
    out.extend(given(set.flush(&mut stream)));
    if out == read { Ok(()) } else { Err(told(format!("{:?} in all", String::from_utf8_lossy(&out)))) }
}
