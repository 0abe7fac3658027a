"""The examples of `examples/`: what they compute is right, and they run as they say."""

import math
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rheostat

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(autouse=True)
def path(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def log_probabilities(logits):
    x = logits.astype(np.float64)
    x -= x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def test_perplexity_is_the_textbook_s():
    from bigrams import TEXT, bigram_logits
    from perplexity import perplexity

    model = bigram_logits(TEXT)
    ids = np.frombuffer(b"the cat ran.", np.uint8).astype(np.int64)
    exact = log_probabilities(model)[ids[:-1], ids[1:]]
    assert perplexity(model[ids[:-1]], ids[1:]) == pytest.approx(math.exp(-exact.mean()), rel=1e-6)


def test_a_wide_beam_finds_the_most_probable_texts_of_all():
    from beam_search import beam_search

    # Four symbols that matter: a, b, c and the stop.
    rng = np.random.default_rng(1)
    model = np.full((256, 256), -60, np.float32)
    symbols = list(b"abc.")
    for one, other in product(symbols, symbols):
        model[one, other] = rng.normal() * 2
    log_p = log_probabilities(model)
    texts = {}
    for length in range(1, 4):
        for symbols_of in product(symbols, repeat=length):
            if b"." not in bytes(symbols_of[:-1]) and (length == 3 or symbols_of[-1] == ord(".")):
                steps = zip([ord("a"), *symbols_of], symbols_of, strict=False)
                score = sum(log_p[one, other] for one, other in steps)
                texts[b"a" + bytes(symbols_of).removesuffix(b".")] = max(
                    score, texts.get(b"a" + bytes(symbols_of).removesuffix(b"."), -np.inf)
                )
    wanted = sorted(texts, key=lambda text: -texts[text])[:5]
    found = beam_search(model, b"a", width=64, stop=b".", most=3)
    unique = list(dict.fromkeys(beam.text for beam in found))
    # "aaba" and "abaa" hold the same pairs: equally probable texts come in either order
    assert [texts[text] for text in unique[:5]] == pytest.approx([texts[text] for text in wanted])
    assert found[0].logprob == pytest.approx(texts[wanted[0]], rel=1e-6)


def test_the_own_loop_writes_what_generate_writes():
    from bigrams import TEXT, bigram_logits
    from own_loop import write

    model = bigram_logits(TEXT)
    table = rheostat.TokenTable.from_bytes([bytes([byte]) for byte in range(256)])
    knobs = {"temperature": 0.8, "min_p": 0.05, "frequency_penalty": 0.1}
    for seed in range(5):
        params = rheostat.SamplingParams(**knobs, seed=seed, max_tokens=50, stop=".")
        done = rheostat.generate(lambda ids: model[ids[-1]], list(b"the "), params, table=table).run()
        assert write(model, b"the ", seed=seed, most=50, stop=".") == done.text


def test_the_server_gives_each_request_the_text_that_it_gets_alone():
    from batch_server import DEFAULTS, REQUESTS, TABLE, Server, serve
    from bigrams import TEXT, bigram_logits

    model = bigram_logits(TEXT)
    requests = [(name, body | {"seed": i}) for i, (name, body) in enumerate(REQUESTS)]
    ended = serve(Server(model, places=2), requests)
    assert ended == serve(Server(model, places=5), requests[::-1])
    assert ended.pop("dee") == ("", "top_p must be in (0, 1], got 1.5")
    for name, body in requests:
        if name in ended:
            params, rest = rheostat.SamplingParams.from_openai(body, defaults=DEFAULTS)
            prompt = list(rest["prompt"].encode())
            done = rheostat.generate(lambda ids: model[ids[-1]], prompt, params, table=TABLE).run()
            assert ended[name] == (done.text, done.finish_reason)


def test_a_bad_row_of_the_server_ends_one_request_alone():
    from batch_server import Server, serve
    from bigrams import TEXT, bigram_logits

    model = bigram_logits(TEXT)
    model[ord("x")] = np.nan
    requests = [(name, {"prompt": name, "seed": 3, "max_tokens": 5}) for name in ("the", "x")]
    ended = serve(Server(model, places=2), requests)
    assert ended["x"][1] == "logits must be finite or -inf, got nan at row 1, token 0"
    assert ended["the"] == serve(Server(model, places=1), requests[:1])["the"]


@pytest.mark.parametrize(
    ("name", "argument", "said"),
    [
        ("perplexity.py", "the cat sat.", "perplexity "),
        ("beam_search.py", "the ", "the "),
        ("own_loop.py", "the ", "the "),
        ("batch_server.py", "", "dee  '' (top_p must be in (0, 1], got 1.5)"),
        ("reproduce.py", "", "the logits are equal, so the sampler"),
        ("read_explanation.py", "The default is", "top_p=0.5 drops it"),
    ],
)
def test_the_example_runs(name, argument, said):
    command = [sys.executable, str(EXAMPLES / name), *filter(None, [argument])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said in done.stdout
