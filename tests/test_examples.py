"""The examples of `examples/`: what they compute is right, and they run as they say."""

import math
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

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


@pytest.mark.parametrize(
    ("name", "argument", "said"),
    [("perplexity.py", "the cat sat.", "perplexity "), ("beam_search.py", "the ", "the ")],
)
def test_the_example_runs(name, argument, said):
    command = [sys.executable, str(EXAMPLES / name), argument]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said in done.stdout
