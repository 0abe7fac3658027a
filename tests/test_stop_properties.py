"""The consequences of the meaning of stops, P1 to P7, on random stops that overlap a lot."""

import copy
import itertools
import pickle

import pytest
import rheostat
import rheostat.reference
from hypothesis import given
from hypothesis import strategies as st
from stop_cases import Case, cases, checked, finish, output, words


def snapshot(matcher):
    return matcher.held, matcher.fed, matcher.emitted, matcher.hit, matcher.__getstate__()


@checked
@given(case=cases(unarmed=False, include=False))
def test_p1_the_output_contains_no_stop(api, case):
    matcher = case.stop_set(api).matcher()
    text = "".join(case.run(matcher)) + case.letters(matcher.flush())
    assert not any(stop in text for stop in case.stops)


@checked
@given(case=cases())
def test_p2_generation_stops_at_the_first_symbol_at_which_a_stop_is_complete(api, case):
    matcher, read = case.stop_set(api).matcher(), ""
    for letter in case.text:
        armed = len(read) >= case.unarmed_length
        read += letter
        matcher.feed(case.symbols(letter), armed)
        found = finish(read, case.stops, case.tie, case.unarmed_length)
        assert (matcher.hit is not None) == (found is not None)
        if found:
            assert (matcher.hit.index, matcher.hit.start, matcher.hit.end) == found
            assert matcher.hit.discarded == 0
            break


@checked
@given(case=cases(), data=st.data())
def test_p3_the_answer_does_not_depend_on_how_the_text_is_cut(api, case, data):
    text, at = case.text, case.unarmed_length
    cuts = data.draw(st.sets(st.integers(0, len(text))))
    places = sorted({0, at, len(text)} | cuts)
    pieces = tuple(text[a:b] for a, b in itertools.pairwise(places))
    recut = Case(**{**case.__dict__, "pieces": pieces, "unarmed": places.index(at)})

    one, two = case.stop_set(api).matcher(), case.stop_set(api).matcher()
    assert "".join(case.run(one)) + case.letters(one.flush()) == "".join(recut.run(two)) + case.letters(
        two.flush()
    )
    assert (one.hit and one.hit[:4]) == (two.hit and two.hit[:4])
    assert (one.fed, one.emitted) == (two.fed, two.emitted)


@checked
@given(case=cases())
def test_p4_what_is_given_out_is_never_taken_back(api, case):
    matcher, text, given_out = case.stop_set(api).matcher(), "", ""
    continuations = list(words(case.alphabet, 3))
    for number, piece in enumerate(case.pieces):
        text += piece
        given_out += case.feed(matcher, number)
        if number >= case.unarmed:
            assert all(output(case, text + more).startswith(given_out) for more in continuations)
        else:
            later = len(text)
            for more in continuations:
                found = finish(text + more, case.stops, case.tie, later)
                assert found is None or case.include or found[1] >= len(given_out)


@checked
@given(case=cases(include=False))
def test_p5_no_smaller_hold_is_possible(api, case):
    matcher, text = case.stop_set(api).matcher(), ""
    continuations = list(words(case.alphabet, max(map(len, case.stops), default=1) - 1))
    for number, piece in enumerate(case.pieces):
        text += piece
        case.feed(matcher, number)
        if matcher.hit:
            break
        armed = number >= case.unarmed
        starts = [
            found[1]
            for more in continuations
            for unarmed in ([case.unarmed_length] if armed else range(len(text), len(text + more)))
            if (found := finish(text + more, case.stops, case.tie, unarmed))
        ]
        assert len(matcher.held) == max(0, len(text) - min(starts, default=len(text)))


@checked
@given(case=cases())
def test_p6_without_a_stop_emitted_and_flush_are_the_whole_text(api, case):
    matcher = case.stop_set(api).matcher()
    outputs = case.run(matcher)
    hit, rest = matcher.hit, case.letters(matcher.flush())
    if hit is None:
        assert "".join(outputs) + rest == case.text
        assert matcher.emitted == matcher.fed == len(case.text)


@checked
@given(case=cases(unarmed=False))
def test_p7_the_streaming_answer_is_that_of_find_on_the_whole_text(api, case):
    stops = case.stop_set(api)
    found = stops.find(case.symbols(case.text))
    matcher = stops.matcher()
    outputs = case.run(matcher)
    assert (found and found[:4]) == (matcher.hit and matcher.hit[:4])
    assert found is None or found.end + found.discarded == len(case.text)
    assert "".join(outputs) + case.letters(matcher.flush()) == output(case, case.text)


@checked
@given(case=cases(include=True))
def test_with_include_nothing_is_ever_held(api, case):
    matcher = case.stop_set(api).matcher()
    for number, piece in enumerate(case.pieces):
        given_out = case.feed(matcher, number)
        assert len(matcher.held) == 0
        assert matcher.hit is not None or given_out == piece


@checked
@given(case=cases())
def test_what_is_held_is_the_beginning_of_a_stop_and_the_end_of_the_text(api, case):
    matcher, text = case.stop_set(api).matcher(), ""
    for number, piece in enumerate(case.pieces):
        text += piece
        case.feed(matcher, number)
        held = case.letters(matcher.held)
        assert held == "" or any(stop.startswith(held) and stop != held for stop in case.stops)
        assert matcher.hit is not None or text.endswith(held)
        assert matcher.hit is not None or matcher.emitted == matcher.fed - len(held)


@checked
@given(case=cases())
def test_the_fast_code_equals_the_reference_after_every_piece(case):
    fast, slow = case.stop_set(rheostat), case.stop_set(rheostat.reference)
    one, two = fast.matcher(), slow.matcher()
    for number in range(len(case.pieces)):
        assert case.feed(one, number) == case.feed(two, number)
        assert snapshot(one) == snapshot(two)
        assert repr(one) == repr(two)
    assert one.flush() == two.flush()
    assert snapshot(one) == snapshot(two)
    assert (fast.stops, fast.kind, fast.max_len) == (slow.stops, slow.kind, slow.max_len)
    assert fast.unreachable == slow.unreachable
    assert repr(fast) == repr(slow)


@checked
@given(case=cases())
def test_clone_copy_and_pickle_after_every_piece_change_nothing(api, case):
    stops = case.stop_set(api)
    plain = stops.matcher()
    cloned, copied, pickled = stops.matcher(), stops.matcher(), stops.matcher()
    other = stops.matcher()
    for number in range(len(case.pieces)):
        expected = case.feed(plain, number)
        for matcher in (cloned, copied, pickled, other):
            assert case.feed(matcher, number) == expected
            assert snapshot(matcher) == snapshot(plain)
        cloned, old = cloned.clone(), cloned
        old.flush()  # a clone goes its own way
        copied = copy.deepcopy(copied)
        pickled = pickle.loads(pickle.dumps(pickled))
        state = other.__getstate__()  # each implementation reads the other's state
        other = case.stop_set((rheostat, rheostat.reference)[number % 2]).matcher()
        other.__setstate__(state)
    for matcher in (cloned, copied, pickled, other):
        assert matcher.flush() == plain.clone().flush()


@checked
@given(case=cases(), piece=st.text("abc", max_size=3), armed=st.booleans())
def test_after_a_hit_feed_gives_nothing_and_changes_nothing(api, case, piece, armed):
    matcher = case.stop_set(api).matcher()
    case.run(matcher)
    if matcher.hit is None:
        return
    before, nothing = snapshot(matcher), case.symbols("")
    assert matcher.feed(case.symbols(piece), armed) == nothing
    assert matcher.feed_many([case.symbols(piece)]) == (nothing, 0)
    assert matcher.flush() == nothing
    assert matcher.feed(case.symbols(piece)) == nothing
    assert snapshot(matcher) == before


@checked
@given(case=cases())
def test_a_second_flush_gives_nothing_and_reset_starts_afresh(api, case):
    matcher = case.stop_set(api).matcher()
    first = case.run(matcher)
    rest = matcher.flush()
    after = snapshot(matcher)
    assert case.letters(matcher.flush()) == ""
    assert snapshot(matcher) == after
    matcher.reset()
    assert snapshot(matcher) == snapshot(case.stop_set(api).matcher())
    assert (case.run(matcher), matcher.flush()) == (first, rest)


@checked
@given(case=cases())
def test_feed_many_is_feed_up_to_the_piece_that_completes(api, case):
    one, many = case.stop_set(api).matcher(), case.stop_set(api).matcher()
    expected, used = "", 0
    for number in range(len(case.pieces)):
        if one.hit is None:
            expected += case.feed(one, number)
            used += 1
    found, count = many.feed_many([case.symbols(piece) for piece in case.pieces], armed_from=case.unarmed)
    assert (case.letters(found), count) == (expected, used)
    assert snapshot(many) == snapshot(one)


@checked
@given(case=cases())
def test_an_unreachable_stop_wins_in_no_text(api, case):
    stops = case.stop_set(api)
    winners = {found[0] for text in words(case.alphabet, 5) if (found := finish(text, case.stops, case.tie))}
    assert stops.unreachable == tuple(i for i in range(len(case.stops)) if i not in winners)


def test_equal_stop_sets_hash_equal_and_survive_pickling(api):
    one = api.StopSet(["a", "b"], tie="longest", include=True)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        two = pickle.loads(pickle.dumps(one, protocol))
        assert two == one
        assert hash(two) == hash(one)
        assert (two.stops, two.kind, two.tie, two.include) == (("a", "b"), "text", "longest", True)
    others = [
        api.StopSet(["b", "a"], tie="longest", include=True),
        api.StopSet(["a", "b"], include=True),
        api.StopSet(["a", "b"], tie="longest"),
        api.StopSet([b"a", b"b"], tie="longest", include=True),
        "a",
    ]
    assert all(one != other for other in others)
    assert len({one, two, *others}) == 6


def test_stops_that_overlap_in_a_large_alphabet_and_table(api):
    """Past 65,536 cells, and past 4 MB, the fast code steps another way."""
    for count in (40, 250):
        stops = [bytes([i]) * 120 + bytes([i, (i + 1) % 256]) for i in range(count)]
        text = b"".join(bytes([i]) * 119 for i in range(count)) + b"\x07" * 120 + b"\x07\x08tail"
        matcher = rheostat.StopSet(stops).matcher()
        start = count * 119
        assert b"".join(matcher.feed(text[i : i + 97]) for i in range(0, len(text), 97)) == text[:start]
        assert matcher.hit[:4] == (7, stops[7], start, start + 122)
    small = api.StopSet(stops[:3])
    assert small.find(text[:360] + stops[2]) == rheostat.StopSet(stops).find(text[:360] + stops[2])


def test_pickles_of_every_protocol_carry_the_state(api):
    matcher = api.StopSet(["STOP"]).matcher()
    matcher.feed("S")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(matcher, protocol))
        assert again.feed("TO") == ""
        assert again.feed("Y") == "STOY"


@pytest.mark.parametrize("name", ["StopSet", "StopMatcher", "StopBatch", "StopHit", "TokenTable"])
def test_classes_say_that_they_come_from_rheostat(name):
    assert getattr(rheostat, name).__module__ == "rheostat"


def test_a_piece_that_is_safe_as_a_whole_is_given_back_without_a_copy():
    piece = "some text"
    assert rheostat.StopSet(["STOP"]).matcher().feed(piece) is piece
