"""Whose message is read."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from rundial.server.problems import Problem
from rundial.server.turns import MOST, MOST_OF_ONE, Turn, Turns

DEADLINE_S = 10.0


def run(job: Coroutine[Any, Any, None]) -> None:
    """Run one test's task."""
    asyncio.run(asyncio.wait_for(job, DEADLINE_S))


async def take(turns: Turns, held: AsyncExitStack, key: str, count: int) -> list[Turn]:
    """Turns that are held until the stack is left."""
    return [await held.enter_async_context(turns.one(key)) for _ in range(count)]


def test_a_key_has_no_more_than_its_share() -> None:
    """Whoever comes with another key is served beside it, and in its own order afterwards."""

    async def job() -> None:
        turns = Turns(patience_s=DEADLINE_S)
        async with AsyncExitStack() as held:
            await take(turns, held, "a", MOST_OF_ONE)
            fifth = asyncio.ensure_future(take(turns, held, "a", 1))
            await take(turns, held, "b", MOST - MOST_OF_ONE)
            assert not fifth.done()
            await held.aclose()
            await fifth

    run(job())


def test_a_turn_lasts_while_nobody_waits_and_ends_when_somebody_does() -> None:
    """The one that began first is asked for, and no more turns than others wait for."""

    async def job() -> None:
        turns = Turns(patience_s=0.01)
        async with AsyncExitStack() as held:
            taken = await take(turns, held, "a", MOST_OF_ONE)
            await asyncio.wait([each.given_up for each in taken], timeout=0.1)
            assert not any(each.given_up.done() for each in taken)
            waiting = asyncio.ensure_future(take(turns, held, "a", 1))
            await taken[0].given_up
            assert not any(each.given_up.done() for each in taken[1:])
            waiting.cancel()

    run(job())


def test_another_keys_turns_are_not_ended_for_a_key_that_has_its_share() -> None:
    """They would not help it."""

    async def job() -> None:
        turns = Turns(patience_s=0.01)
        async with AsyncExitStack() as held:
            others = await take(turns, held, "b", 1)
            own = await take(turns, held, "a", MOST_OF_ONE)
            waiting = asyncio.ensure_future(take(turns, held, "a", 1))
            await own[0].given_up
            assert not others[0].given_up.done()
            waiting.cancel()

    run(job())


def test_who_waits_in_vain_is_told_to_come_back() -> None:
    """After a while, or at once where too many wait already."""

    async def job() -> None:
        turns = Turns(patience_s=DEADLINE_S, wait_s=0.1, most_waiting=1)
        async with AsyncExitStack() as held:
            await take(turns, held, "a", MOST_OF_ONE)
            waiting = asyncio.ensure_future(take(turns, held, "a", 1))
            await asyncio.wait([waiting], timeout=0.01)
            with pytest.raises(Problem, match="too many messages at once") as caught:
                await take(turns, held, "a", 1)
            waiting.cancel()
            await asyncio.wait([waiting])
            with pytest.raises(Problem, match="too many messages at once"):
                await held.enter_async_context(turns.one("a"))
            assert caught.value.retry_after_s

    run(job())
