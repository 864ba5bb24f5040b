import asyncio
import time

import pytest

from s2s_core.errors import UserError
from s2s_core.serving.batcher import Batcher, Stopping, answers_of
from s2s_core.serving.endpoint import Answer, Endpoint


class Doubler(Endpoint[int]):
    name = "double"
    summary = ""
    answers = Answer
    asks = "audio"

    def __init__(self, pause_s=0.0):
        self.batches = []
        self.pause_s = pause_s

    def prepare(self, asked):
        return asked

    def key(self, prepared):
        return prepared >= 100

    def run(self, batch):
        self.batches.append(list(batch))
        time.sleep(self.pause_s)
        if -1 in batch:
            raise ValueError("minus one")
        return [UserError("zero") if item == 0 else {"value": 2 * item} for item in batch]


def ask_all(endpoint, items, **options):
    async def main():
        batcher = Batcher(**options)
        work = asyncio.create_task(batcher.work())
        answers = await asyncio.gather(*(batcher.ask(endpoint, item) for item in items), return_exceptions=True)
        work.cancel()
        assert batcher.close(5)
        return answers

    return asyncio.run(main())


def test_requests_that_wait_together_share_a_batch_and_get_their_own_answers():
    endpoint = Doubler()
    assert ask_all(endpoint, range(1, 6), max_batch=8, max_wait_s=0.3) == [{"value": 2 * item} for item in range(1, 6)]
    assert endpoint.batches == [[1, 2, 3, 4, 5]]


def test_a_batch_is_no_larger_than_asked_and_does_not_wait_when_full():
    endpoint = Doubler()
    began = time.monotonic()
    ask_all(endpoint, range(1, 7), max_batch=3, max_wait_s=60)
    assert endpoint.batches == [[1, 2, 3], [4, 5, 6]]
    assert time.monotonic() - began < 30, "a full batch waited"


def test_while_the_model_works_the_next_batch_fills():
    endpoint = Doubler(pause_s=0.3)

    async def main():
        batcher = Batcher(max_batch=8, max_wait_s=0.0)
        work = asyncio.create_task(batcher.work())
        first = asyncio.create_task(batcher.ask(endpoint, 1))
        while not endpoint.batches:
            await asyncio.sleep(0.01)
        await asyncio.gather(first, *(batcher.ask(endpoint, item) for item in (2, 3, 4)))
        work.cancel()
        assert batcher.batches == 2
        batcher.close()

    asyncio.run(main())
    assert endpoint.batches == [[1], [2, 3, 4]]


def test_unequal_keys_do_not_mix_and_the_oldest_goes_first():
    endpoint = Doubler()
    answers = ask_all(endpoint, [100, 1, 101, 2], max_batch=2, max_wait_s=0.1)
    assert answers == [{"value": 200}, {"value": 2}, {"value": 202}, {"value": 4}]
    assert endpoint.batches == [[100, 101], [1, 2]]


def test_one_failure_fails_only_its_own():
    endpoint = Doubler()
    answers = ask_all(endpoint, [1, -1, 0, 2], max_batch=8, max_wait_s=0.1)
    assert [answers[0], answers[3]] == [{"value": 2}, {"value": 4}]
    assert isinstance(answers[1], ValueError)
    assert isinstance(answers[2], UserError)
    assert endpoint.batches[0] == [1, -1, 0, 2]


def test_a_model_that_loses_answers_is_found_out(caplog):
    endpoint = Doubler()
    endpoint.run = lambda batch: []
    [answer] = answers_of(endpoint, [1])
    assert "0 answers to 1" in str(answer)
    assert "double failed" in caplog.text


def test_who_hung_up_is_left_out():
    endpoint = Doubler(pause_s=0.2)

    async def main():
        batcher = Batcher(max_batch=1, max_wait_s=0.0)
        work = asyncio.create_task(batcher.work())
        asked = [asyncio.create_task(batcher.ask(endpoint, item)) for item in (1, 2, 3)]
        await asyncio.sleep(0.1)
        asked[1].cancel()
        assert await asked[2] == {"value": 6}
        work.cancel()
        batcher.close()

    asyncio.run(main())
    assert endpoint.batches == [[1], [3]]


def test_a_model_that_goes_on_does_not_hold_the_end_up():
    endpoint = Doubler(pause_s=2.0)

    async def main():
        batcher = Batcher()
        work = asyncio.create_task(batcher.work())
        asked = asyncio.create_task(batcher.ask(endpoint, 1))
        while not endpoint.batches:
            await asyncio.sleep(0.01)
        work.cancel()
        asked.cancel()
        return batcher

    batcher = asyncio.run(main())
    assert not batcher.close(0.05)
    assert batcher.close(10)


def test_who_waits_is_told_that_there_will_be_no_answer():
    async def main():
        batcher = Batcher(max_batch=4, max_wait_s=60)
        work = asyncio.create_task(batcher.work())
        asked = [asyncio.create_task(batcher.ask(Doubler(), item)) for item in (1, 2)]
        await asyncio.sleep(0.05)
        assert batcher.waiting == 2
        batcher.abandon()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Stopping, Stopping]
        with pytest.raises(Stopping):
            await batcher.ask(Doubler(), 3)
        work.cancel()
        batcher.close()

    asyncio.run(main())


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match="max_batch from 1"):
        Batcher(max_batch=0)
