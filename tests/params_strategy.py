"""Sampling parameters of every kind, for properties."""

from hypothesis import strategies as st
from rheostat import SamplingParams
from rheostat.params_fields import REPORTS
from rheostat.reference.table import STEPS

ids = st.integers(0, 40)
id_lists = st.lists(ids, min_size=1, max_size=4)
words = st.lists(ids, min_size=1, max_size=3)
finite = st.floats(-1e30, 1e30)
biases = st.one_of(finite, st.just(float("-inf")))
counts = st.integers(0, 50)
windows = st.none() | counts
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
chains = st.sampled_from(["vllm", "hf", "llama.cpp"]) | st.permutations([*STEPS, "mirostat"]).map(tuple)

FIELDS = {
    "temperature": st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    "top_k": st.integers(-1, 50),
    "top_p": st.floats(0.01, 1),
    "min_p": st.floats(0, 1),
    "typical_p": st.floats(0.01, 1),
    "epsilon_cutoff": st.floats(0, 0.5),
    "eta_cutoff": st.floats(0, 0.5),
    "top_h": st.floats(0, 1),
    "top_n_sigma": st.floats(0, 5),
    "xtc_threshold": st.floats(0, 1),
    "xtc_probability": st.floats(0, 1),
    "allowed_token_ids": id_lists,
    "banned_token_ids": id_lists,
    "bad_words": st.lists(words, max_size=3),
    "no_repeat_ngram_size": counts,
    "min_tokens": counts,
    "eos_token_id": ids | id_lists,
    "stop_token_ids": id_lists,
    "logit_bias": st.dictionaries(ids, biases, max_size=3),
    "sequence_bias": st.dictionaries(words.map(tuple), biases, max_size=3),
    "repetition_penalty": st.floats(0.5, 2),
    "frequency_penalty": st.floats(-2, 2),
    "presence_penalty": st.floats(-2, 2),
    "penalty_last_n": windows,
    "dry_multiplier": st.floats(0, 2),
    "dry_base": st.floats(1, 2),
    "dry_allowed_length": counts,
    "dry_penalty_last_n": windows,
    "dry_sequence_breakers": id_lists | texts | st.lists(texts, min_size=1, max_size=3),
    "mirostat_tau": st.floats(0.1, 10),
    "mirostat_eta": st.floats(0, 1),
    "seed": st.none() | st.integers(0, 2**64 - 1),
    "max_tokens": st.none() | st.integers(50, 2**70),
    "context_length": st.none() | st.integers(1, 2**70),
    "stop": texts | st.binary(min_size=1) | st.lists(texts) | st.lists(st.binary(min_size=1)),
    "include_stop_str_in_output": st.booleans(),
    "ignore_eos": st.booleans(),
    "logprobs": st.none() | st.integers(0, 20),
    "report": st.permutations(REPORTS).flatmap(lambda names: st.integers(0, 5).map(lambda n: names[:n])),
}


@st.composite
def keywords(draw, fields=tuple(FIELDS)):
    """Keyword arguments for `SamplingParams`: any fields, and a chain that goes with them."""
    given = draw(st.fixed_dictionaries({}, optional={name: FIELDS[name] for name in fields}))
    chain = draw(chains)
    if isinstance(chain, tuple) or draw(st.booleans()):
        given["mirostat"] = 2
    return given | {"chain": chain}


def params(fields=tuple(FIELDS)):
    return keywords(fields).map(lambda given: SamplingParams(**given))
