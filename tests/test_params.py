"""SamplingParams: checked once, one stored form, and the knobs of a call that do what the params say."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest
import rheostat
from hypothesis import given
from hypothesis import strategies as st
from params_strategy import FIELDS, keywords, params
from rheostat import KnobError, SamplingParams
from rheostat.reference.table import TABLE
from rows_strategy import few, rows
from support import outcome

NAMES = [field.name for field in fields(SamplingParams)]
OF_A_CALL = ["vocab_size", "bitmask"]
INF = float("inf")


def likely(ids, logits, probabilities):
    return probabilities > 0.01


def test_every_knob_is_a_field_with_the_same_default_but_those_of_a_call():
    own = {field.name: field.default for field in fields(SamplingParams)}
    assert {knob.name: knob.off for knob in TABLE if knob.name not in OF_A_CALL} == {
        name: own[name] for name in own if name in {knob.name for knob in TABLE}
    }
    assert not set(OF_A_CALL) & set(own)
    assert set(FIELDS) | {"chain", "mirostat"} == set(NAMES)


def test_one_class_serves_both_implementations():
    assert rheostat.SamplingParams is rheostat.reference.SamplingParams


def test_fields_are_keywords_and_cannot_be_set():
    assert {p.kind for p in inspect.signature(SamplingParams).parameters.values()} == {
        inspect.Parameter.KEYWORD_ONLY
    }
    with pytest.raises(FrozenInstanceError):
        SamplingParams().top_p = 0.5
    with pytest.raises(TypeError, match="unexpected keyword argument 'top_q'"):
        SamplingParams(top_q=1)


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("top_k", -1, 0),
        ("top_k", np.int32(-1), 0),
        ("top_k", np.int64(5), 5),
        ("temperature", 1, 1.0),
        ("temperature", np.float32(0.5), 0.5),
        ("banned_token_ids", [3, 1], (3, 1)),
        ("banned_token_ids", np.array([3, 1]), (3, 1)),
        ("banned_token_ids", [], None),
        ("allowed_token_ids", [], ()),
        ("eos_token_id", 7, (7,)),
        ("eos_token_id", [7, 8], (7, 8)),
        ("stop_token_ids", range(3), (0, 1, 2)),
        ("bad_words", [[1, 2], (3,)], ((1, 2), (3,))),
        ("bad_words", [], None),
        ("logit_bias", {5: 1}, {5: 1.0}),
        ("logit_bias", {}, None),
        ("sequence_bias", {(1, 2): -INF}, {(1, 2): -INF}),
        ("dry_sequence_breakers", "\n", ("\n",)),
        ("dry_sequence_breakers", ["\n", "é"], ("\n", "é")),
        ("dry_sequence_breakers", [4], (4,)),
        ("stop", None, ()),
        ("stop", "x", ("x",)),
        ("stop", ["x", "yz"], ("x", "yz")),
        ("stop", b"\xff", (b"\xff",)),
        ("mirostat", None, 0),
        ("mirostat", 2, 2),
        ("mirostat_tau", None, 5.0),
        ("seed", np.uint64(2**64 - 1), 2**64 - 1),
        ("ignore_eos", np.bool_(True), True),
        ("report", ["entropy", "rank"], ("rank", "entropy")),
        ("chain", ["temperature", likely], ("temperature", likely)),
    ],
)
def test_a_value_has_one_stored_form(name, value, stored):
    found = getattr(SamplingParams(**{name: value}), name)
    assert found == stored
    assert type(found) is type(stored) or isinstance(stored, dict)
    assert hash(SamplingParams(**{name: value})) == hash(SamplingParams(**{name: stored}))


@pytest.mark.parametrize("knob", [knob for knob in TABLE if knob.name not in OF_A_CALL], ids=lambda k: k.name)
def test_none_is_the_default_of_a_knob(knob):
    assert SamplingParams(**{knob.name: None}) == SamplingParams()


def test_mappings_print_and_compare_as_dicts_and_cannot_change():
    given = {3: 1.0, 2: -INF}
    bias = SamplingParams(logit_bias=given).logit_bias
    given[4] = 1.0
    assert (str(bias), len(bias), bias[3]) == ("{3: 1.0, 2: -inf}", 2, 1.0)
    assert bias == {2: -INF, 3: 1.0}
    with pytest.raises(TypeError, match="does not support item assignment"):
        bias[3] = 2.0


KNOB_ERRORS = [
    ({"top_k": -2}, "top_k", "top_k must be at least 0, where 0 is off, got -2"),
    ({"top_p": 1.5}, "top_p", "top_p must be in (0, 1], got 1.5"),
    (
        {"top_p": [0.5, 0.6]},
        "top_p",
        "top_p must be one value, got shape (2,)",
    ),
    ({"temperature": float("nan")}, "temperature", "temperature must be 0 or in [1e-30, 1e30], got nan"),
    (
        {"banned_token_ids": [1_048_576]},
        "banned_token_ids",
        "banned_token_ids must hold token ids in [0, 1048576), got 1048576",
    ),
    (
        {"logit_bias": {3: INF}},
        "logit_bias",
        "logit_bias must hold biases that are -inf or finite in float32, got inf",
    ),
    (
        {"stop_token_ids": [[1]]},
        "stop_token_ids",
        "stop_token_ids must be for one sequence, got several",
    ),
    ({"mirostat": 1}, "mirostat", "mirostat must be 0 or 2, where 0 is off and 1 is not supported, got 1"),
    ({"mirostat": 3}, "mirostat", "mirostat must be 0 or 2, where 0 is off and 1 is not supported, got 3"),
    ({"mirostat_tau": 0}, "mirostat_tau", "mirostat_tau must be positive and finite, got 0.0"),
    ({"mirostat_tau": INF}, "mirostat_tau", "mirostat_tau must be positive and finite, got inf"),
    ({"mirostat_eta": -0.1}, "mirostat_eta", "mirostat_eta must be at least 0 and finite, got -0.1"),
    ({"seed": -1}, "seed", "seed must be in [0, 2**64), got -1"),
    ({"seed": 2**64}, "seed", f"seed must be in [0, 2**64), got {2**64}"),
    ({"max_tokens": 0}, "max_tokens", "max_tokens must be at least 1, got 0"),
    ({"context_length": 0}, "context_length", "context_length must be at least 1, got 0"),
    ({"min_tokens": 6, "max_tokens": 5}, "min_tokens", "min_tokens must be at most max_tokens, 5, got 6"),
    ({"stop": ""}, "stop", "stop[0] must not be empty, got ''"),
    ({"stop": [b"x", b""]}, "stop", "stop[1] must not be empty, got b''"),
    ({"stop": "\ud800"}, "stop", "stop[0] must not hold a lone surrogate, got '\\ud800'"),
    ({"stop": b"x" * 1_048_577}, "stop", "stop must hold at most 1048576 bytes in all, got 1048577"),
    (
        {"dry_sequence_breakers": ["a", ""]},
        "dry_sequence_breakers",
        "dry_sequence_breakers[1] must not be empty, got ''",
    ),
    (
        {"logprobs": -1},
        "logprobs",
        "logprobs must be in [0, 1048576], where 0 is the token's own alone, got -1",
    ),
    (
        {"report": ("mood",)},
        "report",
        "report must hold names among raw_logprob, rank, kept_count, kept_mass, entropy, got 'mood'",
    ),
    ({"report": ("rank", "rank")}, "report", "report must hold each name once, got 'rank'"),
    (
        {"chain": "gpt"},
        "chain",
        "chain must be one of 'vllm', 'hf', 'llama.cpp' or a tuple of knob names, got 'gpt'",
    ),
    (
        {"chain": ("top_k",), "top_p": 0.5},
        "chain",
        "chain must name every knob that is set, got none for 'top_p'",
    ),
    (
        {"chain": ("top_k",), "mirostat": 2},
        "chain",
        "chain must name every knob that is set, got none for 'mirostat'",
    ),
    ({"chain": ("mirostat",)}, "chain", "chain must name mirostat only where mirostat is 2, got 'mirostat'"),
    (
        {"chain": ("mirostat", "mirostat"), "mirostat": 2},
        "chain",
        "chain must name each knob once, got 'mirostat'",
    ),
]

TYPE_ERRORS = [
    ({"top_p": True}, "top_p must be a number, got bool"),
    ({"max_tokens": 5.0}, "max_tokens must be an integer, got float"),
    ({"seed": "7"}, "seed must be an integer, got str"),
    ({"logprobs": True}, "logprobs must be an integer, got bool"),
    ({"ignore_eos": 1}, "ignore_eos must be a bool, got 1"),
    ({"include_stop_str_in_output": None}, "include_stop_str_in_output must be a bool, got None"),
    ({"stop": 7}, "stop must be a str, bytes or a sequence of them, got 7"),
    ({"stop": [7]}, "stop[0] must be a str or bytes; ids go into stop_token_ids, got 7"),
    ({"stop": ["x", b"y"]}, "stop[1] must be of the kind of the first stop, got b'y'"),
    ({"report": "rank"}, "report must be a tuple of names, got 'rank'"),
    ({"chain": 7}, "chain must be a preset's name or a tuple of knob names, got int"),
    (
        {"dry_sequence_breakers": ["\n", 7]},
        "dry_sequence_breakers[1] must be a str among strings, got 7",
    ),
    (
        {"sequence_bias": [((1,), 2)]},
        "sequence_bias must be a dict of token id tuples to bias, got list",
    ),
    ({"logit_bias": 5}, "logit_bias must be a dict of token id to bias, got int"),
]


@pytest.mark.parametrize(("arguments", "argument", "message"), KNOB_ERRORS)
def test_a_value_that_breaks_its_rule_is_told_in_one_sentence(arguments, argument, message):
    with pytest.raises(KnobError) as caught:
        SamplingParams(**arguments)
    assert str(caught.value) == message
    assert caught.value.argument == argument


@pytest.mark.parametrize(("arguments", "message"), TYPE_ERRORS)
def test_a_wrong_type_is_told_in_one_sentence(arguments, message):
    with pytest.raises(TypeError) as caught:
        SamplingParams(**arguments)
    assert str(caught.value) == message


@few
@given(keywords())
def test_copies_by_every_way_are_equal(given):
    one = SamplingParams(**given)
    stored = {name: getattr(one, name) for name in NAMES}
    for other in (
        SamplingParams(**given),
        SamplingParams(**stored),
        one.replace(),
        copy.deepcopy(one),
        pickle.loads(pickle.dumps(one)),
        SamplingParams.from_json(one.to_json()),
        eval(repr(one), {"SamplingParams": SamplingParams, "inf": INF}),
    ):
        assert other == one
        assert hash(other) == hash(one)
        for name in NAMES:
            assert repr(getattr(other, name)) == repr(getattr(one, name))


@few
@given(params(), params())
def test_params_are_equal_where_every_field_is(one, other):
    assert (one == other) == all(getattr(one, name) == getattr(other, name) for name in NAMES)
    assert len({one, other}) == 2 - (one == other)


def test_replace_checks_anew_and_leaves_the_old_one_alone():
    one = SamplingParams(top_p=0.9, chain=("top_p",))
    assert one.replace(top_p=0.8).top_p == 0.8
    assert one.top_p == 0.9
    with pytest.raises(KnobError, match="got none for 'top_k'"):
        one.replace(top_k=5)
    with pytest.raises(TypeError, match="'top_q'"):
        one.replace(top_q=5)


def test_the_repr_shows_what_differs_from_the_default():
    assert repr(SamplingParams()) == "SamplingParams()"
    shown = "SamplingParams(chain='hf', temperature=0.7, logit_bias={3: -inf}, stop=('x',))"
    assert repr(SamplingParams(temperature=0.7, chain="hf", stop="x", top_k=0, logit_bias={3: -INF})) == shown


@few
@given(params([n for n in FIELDS if n not in ("dry_sequence_breakers", "max_tokens")]), rows(60), st.data())
def test_sample_with_the_knobs_does_what_the_params_say(one, x, data):
    x = np.resize(x, 60)
    history = {"output_ids": data.draw(st.lists(st.integers(0, 40), max_size=8)), "seed": 1, "position": 2}
    fields = {knob.name: getattr(one, knob.name) for knob in TABLE if knob.name not in OF_A_CALL}
    if one.ignore_eos:
        fields["eos_token_id"] = None
    chain = one.chain if isinstance(one.chain, str) else tuple(s for s in one.chain if s != "mirostat")
    for api in (rheostat, rheostat.reference):
        wanted = outcome(lambda api=api: api.sample(x, **history, **fields, chain=chain))
        assert outcome(lambda api=api: api.sample(x, **history, **one.knobs())) == wanted


def test_knobs_hold_what_differs_from_off_and_nothing_of_the_sequence():
    one = SamplingParams(
        top_k=5, mirostat=2, seed=3, stop="x", max_tokens=9, context_length=20, logprobs=1, report=("rank",)
    )
    assert one.knobs() == {"top_k": 5}
    assert SamplingParams().knobs() == {}
    assert SamplingParams(chain=()).knobs() == {"chain": ()}


def test_ignore_eos_makes_eos_a_token_like_any_other():
    one = SamplingParams(eos_token_id=1, stop_token_ids=[2], min_tokens=1, ignore_eos=True)
    assert one.knobs() == {"stop_token_ids": (2,), "min_tokens": 1}
    assert one.replace(ignore_eos=False).knobs()["eos_token_id"] == (1,)
    assert rheostat.kept([1.0, 2.0, 3.0], **one.knobs()).tolist() == [0, 1]


def test_the_steps_of_a_chain():
    tail = ("top_n_sigma", "xtc", "mirostat")
    preset = SamplingParams(mirostat=2, xtc_probability=0.5, top_n_sigma=1)
    assert preset.chain_steps() == ("temperature", "min_p", "top_k", "top_p", *tail)
    order = ("mirostat", likely, "temperature")
    own = SamplingParams(mirostat=2, chain=order)
    assert own.chain_steps() == order
    assert own.knobs() == {"chain": (likely, "temperature")}
    assert SamplingParams(chain="hf").chain_steps()[-1] == "eta_cutoff"


def test_text_breakers_become_the_ids_of_the_tokens_that_contain_them(api):
    table = api.TokenTable.from_bytes([b"a", b"\n", b".\n", "é".encode(), "é".encode()[:1], None, b""])
    one = SamplingParams(dry_multiplier=1, dry_sequence_breakers=["\n", "é"])
    assert one.resolved(table).dry_sequence_breakers == (1, 2, 3)
    assert one.resolved(list(table)).knobs() == {"dry_multiplier": 1.0, "dry_sequence_breakers": (1, 2, 3)}
    of_ids = SamplingParams(dry_sequence_breakers=[5])
    assert of_ids.resolved(table) is of_ids
    with pytest.raises(KnobError, match=r"strings that a token contains, got '###'$"):
        one.replace(dry_sequence_breakers="###").resolved(table)
    with pytest.raises(KnobError, match=r"token ids, which resolved\(table\) gives, got \('\\n', 'é'\)$"):
        one.knobs()


def test_a_table_is_searched_once_for_the_same_breakers(api):
    table = api.TokenTable.from_bytes([b"a", b"\n", b".\n"])
    one = SamplingParams(dry_multiplier=1, dry_sequence_breakers="\n", seed=1)
    found = one.resolved(table)
    assert one.replace(seed=2).resolved(table).dry_sequence_breakers is found.dry_sequence_breakers
    assert one.resolved(api.TokenTable.from_bytes([b"\n"])).dry_sequence_breakers == (0,)
    assert found == one.replace(dry_sequence_breakers=[1, 2])
    assert (found.seed, hash(found)) == (1, hash(one.replace(dry_sequence_breakers=[1, 2])))


def test_json_is_valid_for_every_reader():
    one = SamplingParams(logit_bias={3: -INF}, sequence_bias={(1, 2): 0.5, (3,): -INF}, stop=[b"\xff", b"a"])
    assert one.to_json() == (
        '{"law": 1, "logit_bias": {"3": "-inf"}, "sequence_bias": [[[1, 2], 0.5], [[3], "-inf"]], '
        '"stop": [{"hex": "ff"}, {"hex": "61"}]}'
    )
    assert SamplingParams().to_json() == '{"law": 1}'
    assert SamplingParams.from_json(b'{"law": 1, "stop": "x"}').stop == ("x",)


def test_a_callable_has_no_json():
    with pytest.raises(
        KnobError, match=r"^chain must hold names alone to become JSON, got the callable likely$"
    ):
        SamplingParams(chain=("top_k", likely)).to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "text must be JSON, got Expecting property name"),
        ("[" * 100_000, "text must be JSON, got one that is nested too deeply"),
        ("1" * 5000, "text must be JSON, got Exceeds the limit"),
        ("[1]", "text must be a JSON object, got list"),
        ('{"law": 1, "top_k": "7"}', "top_k must be an integer, got str"),
        ('{"law": 1, "logit_bias": []}', "logit_bias must be a dict of token id to bias, got list"),
        (
            '{"law": 1, "logit_bias": {"%s": 1}}' % ("1" * 5000),
            r"logit_bias must have token ids as keys, got '11111111111111111111...'",
        ),
        ("{}", "law must be 1, the version of the numeric law that this library follows, got None"),
        ('{"law": 2}', "law must be 1, the version of the numeric law that this library follows, got 2"),
        (
            '{"law": true}',
            "law must be 1, the version of the numeric law that this library follows, got True",
        ),
        ('{"law": 1, "a": 1, "top_k": 2, "b": 3}', "text must name fields of SamplingParams, got 'a', 'b'"),
        ('{"law": 1, "top_k": -7}', "top_k must be at least 0, where 0 is off, got -7"),
        ('{"law": 1, "logit_bias": {"x": 1}}', "logit_bias must have token ids as keys, got 'x'"),
        (
            '{"law": 1, "sequence_bias": [3]}',
            r"sequence_bias must hold pairs of ids and bias in JSON, got \[3\]",
        ),
        ('{"law": 1, "stop": [{"hex": "zz"}]}', "stop must hold hexadecimal digits, got 'zz'"),
    ],
)
def test_json_that_is_none_of_ours_is_refused_in_one_sentence(text, message):
    with pytest.raises(KnobError, match=f"^{message}"):
        SamplingParams.from_json(text)
