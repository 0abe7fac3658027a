"""rheostat in transformers, on a tiny random GPT-2."""

import numpy as np
import pytest
import rheostat
from rheostat import KnobError, SamplingParams, TokenTable

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from rheostat.integrations.transformers import (  # noqa: E402
    SamplingProcessor,
    StopCriterion,
    rheostat_generate,
)

VOCAB, EOS, PAD = 512, 511, 510
GREEDY = SamplingParams(temperature=0, max_tokens=24, eos_token_id=EOS)
WARM = SamplingParams(temperature=1.5, top_p=0.95, seed=7, max_tokens=24, eos_token_id=EOS)
# Two letters for each token, so that a stop can lie across tokens; the last two have none.
TABLE = TokenTable.from_bytes(
    [bytes([97 + i // 26 % 26, 97 + i % 26]) for i in range(VOCAB - 2)] + [None] * 2
)


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=VOCAB, n_embd=64, n_layer=2, n_head=2, n_positions=128, initializer_range=0.3,
        bos_token_id=None, eos_token_id=EOS, pad_token_id=PAD,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


def inputs_of(*prompts):
    """Prompts of their own lengths, padded on the left."""
    width = max(map(len, prompts))
    ids = torch.tensor([[PAD] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    return {"input_ids": ids, "attention_mask": mask}


PROMPTS = [[1, 2, 3, 4, 5], [9, 8], [300, 20, 77]]
INPUTS = inputs_of(*PROMPTS)


def by_processor(model, params, inputs=INPUTS, table=TABLE, **more):
    options = {name: more.pop(name) for name in ("streams", "pad_token_id") if name in more}
    sampling = SamplingProcessor(params, table, attention_mask=inputs["attention_mask"], **options)
    return sampling, model.generate(**inputs, **(sampling.arguments() | more))


def by_loop(model, params, inputs=INPUTS, table=TABLE, **more):
    options = {name: more.pop(name) for name in ("streams", "pad_token_id") if name in more}
    sampling = SamplingProcessor(params, table, **options)
    more = {"max_new_tokens": 24} | more
    return sampling, model.generate(**inputs, custom_generate=rheostat_generate, sampling=sampling, **more)


BOTH = pytest.mark.parametrize("run", [by_processor, by_loop])


@BOTH
@pytest.mark.parametrize("eos", [EOS, 211, [13, 398]])
def test_greedy_is_the_hosts_own(model, run, eos):
    expected = model.generate(**INPUTS, do_sample=False, max_new_tokens=24, eos_token_id=eos)
    _, found = run(model, GREEDY.replace(eos_token_id=eos), eos_token_id=eos)
    assert torch.equal(found, expected)
    assert expected.shape[1] > INPUTS["input_ids"].shape[1] + 3


@BOTH
def test_a_row_is_what_it_is_alone_whatever_the_others_and_the_padding(model, run):
    params = WARM.replace(repetition_penalty=1.3, frequency_penalty=0.2)
    together = run(model, params)[0]
    for row, prompt in enumerate(PROMPTS):
        alone = run(model, params, inputs_of(prompt), streams=[row])[0]
        padded = run(model, params, inputs_of(prompt, [5] * 9), streams=[row, 99])[0]
        ids = [token.id for token in together.tokens[row]]
        assert ids == [token.id for token in alone.tokens[0]] == [token.id for token in padded.tokens[0]]
        assert together.texts[row] == alone.texts[0] == padded.texts[0]
    assert len({tuple(token.id for token in row) for row in together.tokens}) == 3


def test_the_tokens_are_those_of_a_sequence_over_the_models_own_logits(model):
    sampling, found = by_processor(model, WARM, output_logits=True, return_dict_in_generate=True)
    for row, prompt in enumerate(PROMPTS):
        sequence = rheostat.Sequence(WARM, TABLE, prompt_ids=prompt, stream=row, vocab_size=VOCAB)
        for logits in found.logits:
            if sequence.finish is None:
                sequence.step(logits[row])
        assert sequence.output_ids == tuple(token.id for token in sampling.tokens[row])
        assert (sequence.text, sequence.finish) == (sampling.texts[row], sampling.finishes[row])


@BOTH
def test_output_logits_are_unharmed(model, run):
    options = {"output_logits": True, "return_dict_in_generate": True}
    expected = model.generate(**INPUTS, do_sample=False, max_new_tokens=24, **options)
    _, found = run(model, GREEDY, **options)
    assert len(found.logits) == 24
    assert all(torch.equal(mine, own) for mine, own in zip(found.logits, expected.logits, strict=True))


@BOTH
def test_do_sample_changes_nothing_and_the_hosts_chance_is_not_read(model, run):
    first = run(model, WARM)[1]
    torch.manual_seed(123)
    knobs = {"do_sample": True, "temperature": 0.3, "top_k": 3, "top_p": 0.5}
    assert torch.equal(run(model, WARM, **knobs)[1], first)
    if run is by_loop:
        state = torch.get_rng_state()
        run(model, WARM, **knobs)
        assert torch.equal(torch.get_rng_state(), state)


@BOTH
def test_seeds_reproduce(model, run):
    first, again = (run(model, WARM)[1] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(run(model, WARM.replace(seed=8))[1], first)
    unseeded, found = run(model, WARM.replace(seed=None))
    params = [WARM.replace(seed=seed) for seed in unseeded.seeds]
    assert torch.equal(run(model, params)[1], found)


@BOTH
def test_each_row_stops_at_its_own_stop(model, run):
    whole = run(model, WARM)[0]
    stops = [text[7:10] for text in whole.texts]
    params = [WARM.replace(stop=[stop]) for stop in stops]
    sampling, found = run(model, params)
    for text, stop, short, finish in zip(whole.texts, stops, sampling.texts, sampling.finishes, strict=True):
        assert short == text[: text.index(stop)]
        assert finish == ("stop", stop)
    assert found.shape[1] == INPUTS["input_ids"].shape[1] + 5


@BOTH
def test_what_ended_is_padded_also_where_the_host_knows_no_end(model, run):
    whole = run(model, WARM)[0]
    params = [WARM.replace(max_tokens=3, eos_token_id=None), *[WARM.replace(eos_token_id=None)] * 2]
    sampling, found = run(model, params, eos_token_id=None, pad_token_id=17)
    width = INPUTS["input_ids"].shape[1]
    ids = [token.id for token in sampling.tokens[0]]
    assert ids == [token.id for token in whole.tokens[0][:3]]
    assert found[0, width:].tolist() == ids + [17] * 21
    assert sampling.finishes[0] == ("length", None)


def test_eos_and_padding_are_the_models_own_where_params_name_none(model):
    expected = by_loop(model, WARM.replace(eos_token_id=13))[1]
    found = by_loop(model, WARM.replace(eos_token_id=None), eos_token_id=13)[1]
    assert torch.equal(expected, found)
    whole = by_loop(model, WARM.replace(eos_token_id=None, ignore_eos=True), eos_token_id=13)[0]
    assert [len(row) for row in whole.tokens] == [24, 24, 24]


def test_the_loop_takes_params_alone(model):
    params = WARM.replace(stop=())
    found = model.generate(**INPUTS, custom_generate=rheostat_generate, sampling=params, max_new_tokens=24)
    assert torch.equal(found, by_loop(model, params)[1])


def test_the_hosts_other_processors_act_before(model):
    bias = {(5,): 1000.0}
    for run in (by_processor, by_loop):
        _, found = run(model, WARM, sequence_bias=bias)
        assert (found[:, INPUTS["input_ids"].shape[1] :] == 5).all()


def test_repeated_rows_have_streams_of_their_own(model):
    twice = {"num_return_sequences": 2, "do_sample": True}  # which the host refuses otherwise
    sampling, found = by_loop(model, WARM, **twice)
    assert len(found) == 6
    assert torch.equal(
        found[4], by_loop(model, WARM, inputs_of(PROMPTS[2], PROMPTS[0]), streams=[4, 0])[1][0]
    )
    assert torch.equal(by_processor(model, WARM, **twice)[1], found)
    assert len(set(sampling.texts)) == 6


def test_a_criterion_stops_the_hosts_own_sampling(model):
    torch.manual_seed(5)
    whole = StopCriterion(WARM, TABLE)
    model.generate(**INPUTS, do_sample=True, max_new_tokens=24, stopping_criteria=[whole])
    stop = whole.texts[1][9:12]
    torch.manual_seed(5)
    criterion = StopCriterion(WARM.replace(stop=[stop]), TABLE)
    model.generate(**INPUTS, do_sample=True, max_new_tokens=24, stopping_criteria=[criterion])
    assert criterion.texts[1] == whole.texts[1][: whole.texts[1].index(stop)]
    assert criterion.finishes[1] == ("stop", stop)


def test_a_streamer_gets_the_tokens(model):
    class Streamer:
        def __init__(self):
            self.ids = []

        def put(self, ids):
            self.ids += ids.flatten().tolist()

        def end(self):
            pass

    streamer = Streamer()
    _, found = by_processor(model, WARM, inputs_of(PROMPTS[0]), streamer=streamer)
    assert streamer.ids == found[0].tolist()


def test_scores_of_another_type_and_a_model_in_bfloat16(model):
    ids = torch.tensor([[1, 2]])
    scores = torch.randn(1, VOCAB, generator=torch.Generator().manual_seed(1), requires_grad=True)
    drawn = [SamplingProcessor(WARM)(ids, scores.to(kind)) for kind in (torch.float32, torch.float64)]
    assert drawn[0].argmax() == drawn[1].argmax()
    assert (drawn[0] > -torch.inf).sum() == 1
    half = transformers.GPT2LMHeadModel(model.config).to(torch.bfloat16).eval()
    assert torch.equal(by_loop(half, GREEDY)[1], half.generate(**INPUTS, do_sample=False, max_new_tokens=24))


def test_log_probabilities_are_kept(model):
    sampling, found = by_processor(
        model, WARM.replace(logprobs=0, top_p=1), output_logits=True, return_dict_in_generate=True
    )
    token = sampling.tokens[1][3]
    row = found.logits[3][1].numpy()
    np.testing.assert_allclose(token.logprob, rheostat.log_softmax(row, temperature=1.5)[token.id], rtol=1e-5)


def test_misuse_is_told(model):
    sampling, _ = by_processor(model, WARM)
    with pytest.raises(ValueError, match="is for one call of generate"):
        model.generate(**INPUTS, **sampling.arguments())
    for inputs in (INPUTS, inputs_of(PROMPTS[0])):
        for do_sample in (False, True):
            beams = {"num_beams": 2, "do_sample": do_sample}
            with pytest.raises(ValueError, match="without beams"):
                model.generate(**inputs, **(SamplingProcessor(GREEDY).arguments() | beams))
            with pytest.raises(ValueError, match="num_beams must be 1, got 2"):
                by_loop(model, GREEDY, inputs, **beams)
    with pytest.raises(ValueError, match="params must be one, or one for each of the 3 rows, got 2"):
        by_processor(model, [WARM, WARM])
    with pytest.raises(ValueError, match="streams must be one for each of the 3 rows, got 1"):
        by_processor(model, WARM, streams=[0])
    sampling = SamplingProcessor(WARM, attention_mask=torch.ones(3, 2))
    with pytest.raises(ValueError, match="attention_mask must have the shape of the prompts"):
        model.generate(**INPUTS, **sampling.arguments())
    with pytest.raises(KnobError, match="stop must come with a table"):
        SamplingProcessor(WARM.replace(stop="x"))
    for wrong in ([{}, WARM, WARM], {}):
        with pytest.raises(TypeError, match="params must be a SamplingParams, got dict"):
            SamplingProcessor(wrong)
    for wrong, kind in ((None, "NoneType"), ([WARM, 3], "int")):
        with pytest.raises(TypeError, match=f"sampling must be a SamplingParams, got {kind}"):
            model.generate(**INPUTS, custom_generate=rheostat_generate, sampling=wrong, max_new_tokens=3)
    criterion = StopCriterion(WARM, TABLE)
    model.generate(**INPUTS, max_new_tokens=3, do_sample=False, stopping_criteria=[criterion])
    with pytest.raises(ValueError, match="is for one call of generate"):
        model.generate(**INPUTS, max_new_tokens=3, do_sample=False, stopping_criteria=[criterion])


@BOTH
def test_what_is_held_back_at_a_limit_of_the_hosts_is_text_after_the_end(model, run):
    whole = run(model, WARM.replace(eos_token_id=None, max_tokens=8))[0].texts
    stops = [text[-3:] + "QQ" for text in whole]
    params = [WARM.replace(stop=[stop], eos_token_id=None, max_tokens=None) for stop in stops]
    sampling, _ = run(model, params, max_new_tokens=8, eos_token_id=None)
    if run is by_processor:
        assert sampling.texts == [text[:-3] for text in whole]
        assert sampling.finishes == [None] * 3
    sampling.end()
    assert sampling.texts == whole
    assert sampling.finishes == [("length", None)] * 3
    sampling.end()
    assert sampling.texts == whole


@BOTH
def test_the_padding_behind_an_end_that_the_host_alone_knows_is_no_text(model, run):
    params = WARM.replace(eos_token_id=None, ignore_eos=run is by_loop)
    free = run(model, params, eos_token_id=None)[0]
    eos = free.tokens[0][3].id
    ended = [row[: [token.id for token in row].index(eos) + 1 if eos in [t.id for t in row] else None]
             for row in free.tokens]  # fmt: skip
    sampling = SamplingProcessor(params, TABLE, attention_mask=INPUTS["attention_mask"])
    model.generate(**INPUTS, **(sampling.arguments() | {"eos_token_id": eos, "pad_token_id": 5}))
    sampling.end()
    assert sampling.texts == ["".join(TABLE[token.id].decode() for token in row) for row in ended]


@BOTH
def test_a_context_length_ends_each_row_by_its_own_prompt(model, run):
    sampling, _ = run(model, WARM.replace(context_length=8))
    assert [len(row) for row in sampling.tokens] == [3, 6, 5]
    assert sampling.finishes == [("context", None)] * 3
    with pytest.raises(KnobError, match="context_length must be greater than the number of prompt_ids, 5"):
        run(model, WARM.replace(context_length=5))


def test_the_loop_takes_params_for_each_row(model):
    params = [WARM.replace(seed=seed) for seed in range(3)]
    found = model.generate(**INPUTS, custom_generate=rheostat_generate, sampling=params, max_new_tokens=24)
    assert torch.equal(found, by_loop(model, params)[1])


def test_errors_of_the_sampler_reach_the_caller(model):
    params = WARM.replace(allowed_token_ids=[VOCAB])
    with pytest.raises(KnobError, match="allowed_token_ids"):
        by_processor(model, params)
