"""Threads and signals: what is shared, what is refused, and what ends when Ctrl-C comes."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rheostat
from rheostat import BatchSampler, KnobError, Sampler, SamplingParams, Sequence, StopSet

THREADS = 4


def together(work, count=THREADS):
    """`work(i)` in so many threads that start at once: their results, or what they raised."""
    barrier, results = threading.Barrier(count), [None] * count

    def one(i):
        barrier.wait()
        try:
            results[i] = work(i)
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return results


def test_many_threads_share_a_stop_set_and_a_table(api):
    stops = api.StopSet(["\nUser:", "END", "ab" * 20])
    table = api.TokenTable.from_bytes([b"a", b"b", b"E", b"N", b"D", b"\n", b"User", b":"])
    stream = [0, 1, 2, 3, 5, 6, 0, 2, 3, 4, 1]

    def work(i):
        matcher = stops.matcher()
        batch = stops.batch(2)
        texts = []
        for _ in range(50):
            texts.append([matcher.feed(table[id].decode()) for id in stream[i:]])
            texts.append((matcher.hit, stops.find("xxENDxx"), batch.feed_ids([i, 2], table)))
            matcher.reset()
            batch.reset()
        return texts

    alone = [work(i) for i in range(THREADS)]
    assert together(work) == alone


def test_a_row_that_another_thread_changes_gives_some_token_or_an_error_and_no_panic():
    rng = np.random.default_rng(0)
    row = rng.standard_normal(131_072, np.float32)
    peaked = rng.standard_normal(row.size, np.float32) * 2
    peaked[rng.choice(row.size, 40)] = 16
    others = [row.copy(), peaked, np.zeros_like(row), row - 90, row + 90]
    done = threading.Event()

    def change():
        turn = 0
        while not done.is_set():
            row[:] = others[turn % len(others)]
            turn += 1

    def call(work, top_p):
        try:
            ids = np.atleast_1d(work(top_p))
        except (KnobError, rheostat.LogitsError):
            return  # of a row with nothing left that can be drawn
        assert len(ids) > 0
        assert ids.min() >= 0
        assert ids.max() < row.size

    works = [
        lambda p: rheostat.sample(row, seed=1, top_p=p),
        lambda p: rheostat.choose(row, 3, seed=1, top_p=p),
        lambda p: rheostat.sample(
            row, seed=1, top_p=p, banned_token_ids=[3], top_k=50, chain=("top_p", "top_k")
        ),
    ]
    thread = threading.Thread(target=change)
    thread.start()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for work in works:
                for top_p in (0.5, 0.9, 0.999, 1 - 2**-53):
                    call(work, top_p)
    finally:
        done.set()
        thread.join()


def test_many_threads_sample_with_the_same_rows_and_params():
    rows = np.random.default_rng(0).normal(size=(8, 40_000)).astype(np.float32)
    params = SamplingParams(temperature=0.8, top_p=0.9, frequency_penalty=0.1)

    def work(i):
        sampler = Sampler(params.replace(seed=i), 40_000)
        drawn = [sampler.sample(row).id for row in rows]
        batch = rheostat.sample(rows, seed=i, stream=np.arange(8), top_p=0.9)
        return drawn, batch.tolist(), rheostat.kept(rows[0], top_k=50).tolist()

    alone = [work(i) for i in range(THREADS)]
    assert together(work) == alone


def misused(use, position, wanted, refusal="must not be used again during a call"):
    """Two threads use one object: each call gives the next token or the error; none is lost, none twice."""
    found = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found.append(together(lambda _: use(), 2))
        if sum(isinstance(result, RuntimeError) for pair in found for result in pair) >= 3:
            break
    ids = []
    for pair in found:
        errors = [result for result in pair if isinstance(result, Exception)]
        assert all(type(error) is RuntimeError for error in errors), errors
        assert all(refusal in str(error) for error in errors), errors
        assert len(errors) < 2
        ids.append([result for result in pair if not isinstance(result, Exception)])
    count = sum(len(drawn) for drawn in ids)
    assert position() == count
    expected = iter(wanted(count))
    for drawn in ids:  # two that both came through may have come in either order
        assert sorted(drawn) == sorted(next(expected) for _ in drawn)


# A row of this length is drawn from without the GIL, for long enough to meet another thread.
LONG = np.random.default_rng(3).normal(size=1_000_000).astype(np.float32)


def test_a_sampler_used_by_two_threads_gives_the_next_token_or_an_error():
    params = SamplingParams(seed=5, typical_p=0.9)
    sampler = Sampler(params, LONG.size)

    def wanted(count):
        alone = Sampler(params, LONG.size)
        return [alone.sample(LONG).id for _ in range(count)]

    misused(lambda: sampler.sample(LONG).id, lambda: sampler.position, wanted)


def test_a_batch_sampler_used_by_two_threads_gives_the_next_token_or_an_error():
    params = SamplingParams(seed=6, typical_p=0.9)
    batch = BatchSampler(LONG.size)
    handle = batch.add(params)

    def wanted(count):
        alone = Sampler(params, LONG.size)
        return [alone.sample(LONG).id for _ in range(count)]

    misused(lambda: int(batch.step(LONG[None]).ids[0]), lambda: batch.position(handle), wanted)


def test_a_sequence_used_by_two_threads_steps_one_after_another_or_gives_an_error():
    params = SamplingParams(seed=7, typical_p=0.9)
    sequence = Sequence(params, None, vocab_size=LONG.size)

    def wanted(count):
        alone = Sampler(params, LONG.size)
        return [alone.sample(LONG).id for _ in range(count)]

    refusal = "the sequence is in use by another call"
    misused(lambda: sequence.step(LONG).token.id, lambda: sequence.position, wanted, refusal)


def test_a_matcher_that_two_threads_feed_takes_piece_after_piece():
    matcher = StopSet(["never"]).matcher()
    batch = StopSet(["never"]).batch(2)

    def work(i):
        texts = [matcher.feed("ab") for _ in range(2000)]
        texts += [batch.feed(["ab"], rows=[i % 2])[0] for _ in range(500)]
        return "".join(texts)

    results = together(work)
    assert all(set(text) == {"a", "b"} for text in results)
    assert matcher.fed == matcher.emitted == 2 * 2000 * THREADS
    assert sum(map(len, results)) == 2 * 2500 * THREADS


def test_out_in_use_is_an_error_or_whole():
    rows = np.random.default_rng(1).normal(size=(4, 300_000)).astype(np.float32)
    wanted = rheostat.softmax(rows)
    out = np.empty_like(rows)
    for result in together(lambda _: rheostat.softmax(rows, out=out)):
        assert result is out or isinstance(result, KnobError) or "in use" in str(result), result
    np.testing.assert_array_equal(rheostat.softmax(rows, out=out), wanted)


# SIGINT is restored first: whoever starts pytest in the background may have had it ignored.
INTERRUPTED = """
import signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np, rheostat
rheostat.set_num_threads({threads})
row = np.random.default_rng(0).normal(size=(1, 100_000)).astype(np.float32)
batch = np.lib.stride_tricks.as_strided(row, (100_000, row.size), (0, 4))
calls = {{
    "kept": lambda: rheostat.kept(batch, typical_p=0.9),
    "sample": lambda: rheostat.sample(batch, typical_p=0.9, seed=0, stream=np.arange(len(batch))),
    "step": lambda: sequences.step(batch[:20_000], on_bad_row="mark"),
}}
sequences = rheostat.BatchSampler(row.size)
if "{call}" == "step":
    for i in range(20_000):
        sequences.add(params := rheostat.SamplingParams(typical_p=0.9, seed=i) if i == 0 else params)
print("ready", flush=True)
try:
    calls["{call}"]()
except KeyboardInterrupt:
    positions = sum(map(sequences.position, sequences.handles))
    print("interrupted", positions, rheostat.sample(row[0], seed=1), flush=True)
else:
    print("went on to its end", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGINT to send to one process")
@pytest.mark.parametrize(("call", "threads"), [("kept", 1), ("sample", 2), ("step", 2)])
def test_ctrl_c_ends_a_long_batch_and_changes_nothing(call, threads):
    code = INTERRUPTED.format(call=call, threads=threads)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            sent = time.monotonic()
            out, _ = process.communicate(timeout=30)
            assert out == f"interrupted 0 {rheostat.sample(interrupted_row(), seed=1)}\n"
            assert time.monotonic() - sent < 20  # some 60 ms where nothing else runs
            assert process.returncode == 0
        finally:
            process.kill()


def interrupted_row():
    return np.random.default_rng(0).normal(size=(1, 100_000)).astype(np.float32)[0]
