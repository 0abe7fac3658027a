"""The loop for an event loop: the same text, and nothing waits that need not."""

import asyncio
import threading

import pytest
import rheostat
from chain_model import (
    Cached,
    Failing,
    asked_for,
    everything,
    model,
    table_of,
)
from rheostat import SamplingParams


class AskedFor:
    async def __call__(self, ids):
        return await asked_for(ids)


class AskedForCached:
    def __init__(self):
        self.cached = Cached()

    async def start(self, ids):
        return self.cached.start(ids)

    async def next(self, id):
        return self.cached.next(id)


@pytest.mark.parametrize("make", [lambda: asked_for, AskedFor, AskedForCached, lambda: model, Cached])
def test_an_async_text_is_the_same(api, make):
    params = SamplingParams(seed=9, max_tokens=12, stop="D", context_length=9, logprobs=0)
    options = {"table": table_of(api), "context": "slide"}
    like = Cached() if hasattr(make(), "start") else model
    wanted = api.generate(like, [0, 1], params, **options)
    steps = list(wanted)

    async def main():
        generation = api.agenerate(make(), [0, 1], params, **options)
        assert [step async for step in generation] == steps
        assert everything(generation) == everything(wanted)
        again = await api.agenerate(make(), [0, 1], params, **options).run()
        assert everything(again) == everything(wanted)

    asyncio.run(main())


def test_a_blocking_model_lets_the_event_loop_go_on():
    go_on = threading.Event()

    def waits(ids):
        assert go_on.wait(10)
        return model(ids)

    async def main():
        generation = rheostat.agenerate(waits, [0], SamplingParams(max_tokens=2))
        running = asyncio.create_task(generation.run())
        await asyncio.sleep(0.01)
        assert not running.done()
        go_on.set()
        return await running

    assert asyncio.run(main()).finish_reason == "length"


def test_a_cancelled_step_is_asked_for_again_when_its_thread_is_done():
    go_on, inside = threading.Event(), []

    def waits(ids):
        inside.append(len(ids))
        assert len(inside) - returned[0] == 1, "two calls at once"
        go_on.wait(10)
        returned[0] += 1
        return model(ids)

    returned = [0]
    params = SamplingParams(seed=1, max_tokens=3)

    async def main():
        generation = rheostat.agenerate(waits, [0], params)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(generation), 0.05)
        assert generation.ids == ()
        go_on.set()
        return await generation.run()

    assert asyncio.run(main()).ids == rheostat.generate(model, [0], params).run().ids
    assert inside == [1, 1, 2, 3]


def test_an_async_model_that_raises_can_be_asked_again():
    async def main(failing, wanted):
        generation = rheostat.agenerate(failing, [0], SamplingParams(seed=1, max_tokens=4))
        with pytest.raises(ConnectionError):
            await generation.run()
        assert repr(generation) == "<AsyncGeneration of 2 tokens, open>"
        assert (await generation.run()).ids == wanted

    wanted = rheostat.generate(model, [0], SamplingParams(seed=1, max_tokens=4)).run().ids
    asyncio.run(main(Failing(model, [3]), wanted))
