"""A change that one process makes known is heard by every other."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.cloud.storage.conftest import Store
from tests.cloud.storage.entries import NOW, add_node

from boundless_skies.cloud.domain.nodes import Caller
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.services.interrupts import InterruptService
from boundless_skies.cloud.storage import changes
from boundless_skies.cloud.storage.changes import Topic
from boundless_skies.cloud.storage.database import Database

INTERRUPT = {"name": "SN 2026abc", "ra_deg": 210.9, "dec_deg": 54.3}
WAIT_S = 30.0


async def until_waiting(service: InterruptService) -> None:
    """Let the others go on until a call waits."""
    for _ in range(1_000_000):
        if service.waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError("nobody waits")


def test_each_topic_is_heard_once_for_a_change(store: Store) -> None:
    """Also changes of a process of its own connection; what was before is no news."""

    async def listen(database: Database) -> list[str]:
        await database.write(partial(changes.announce, topic=Topic.TARGETS))
        heard: asyncio.Queue[str] = asyncio.Queue()
        watch = asyncio.create_task(database.watch(heard.put_nowait))
        other = store.make()
        await other.open()
        news: list[str] = []
        async with asyncio.timeout(WAIT_S):
            # Until the watch has begun, a change may count as old.
            while not news:
                await other.write(partial(changes.announce, topic=Topic.CREDENTIALS))
                try:
                    async with asyncio.timeout(0.5):
                        news.append(await heard.get())
                except TimeoutError:
                    continue
            await other.write(partial(changes.announce, topic=Topic.INTERRUPTS))
            news.append(await heard.get())
            while news[-1] != Topic.INTERRUPTS:
                news.append(await heard.get())
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await other.close()
        return news

    news = store.run(listen)
    assert set(news[:-1]) == {Topic.CREDENTIALS}
    assert news[-1] == Topic.INTERRUPTS


def test_a_waiting_node_gets_an_interrupt_that_another_process_sent(store: Store) -> None:
    """It is woken with the interrupt; nodes that it does not address wait on."""

    async def wait(database: Database) -> None:
        here = InterruptService(database, lambda: NOW)
        await here.refresh()
        other = store.make()
        await other.open()
        there = InterruptService(other, lambda: NOW)

        def hear(topic: str) -> None:
            assert topic == Topic.INTERRUPTS
            tasks.append(asyncio.create_task(here.refresh()))

        tasks = [asyncio.create_task(database.watch(hear))]
        waiting = asyncio.create_task(here.wait_for(Caller("hilltop"), WAIT_S))
        async with asyncio.timeout(WAIT_S):
            await until_waiting(here)
            number = await there.send(Operator("a test", Role.OPERATOR), INTERRUPT)
            (interrupt,) = (await waiting)["interrupts"]
        assert (interrupt["id"], interrupt["acked"]) == (number, False)
        again = await here.wait_for(Caller("hilltop"), WAIT_S)
        assert [one["id"] for one in again["interrupts"]] == [number]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await other.close()

    store.run(wait)


def test_a_wait_ends_by_itself_and_when_the_cloud_stops(store: Store) -> None:
    """With the ordinary reply, in which acknowledged interrupts are marked."""

    async def wait(database: Database) -> None:
        service = InterruptService(database, lambda: NOW)
        caller = Caller("hilltop")
        assert await service.wait_for(caller, 0.01) == {"interrupts": []}
        number = await service.send(Operator("a test", Role.OPERATOR), INTERRUPT)
        await service.acknowledge(caller, number)
        (acked,) = (await service.wait_for(caller, 0.01))["interrupts"]
        assert acked["acked"] is True
        waiting = asyncio.create_task(service.wait_for(caller, WAIT_S))
        await until_waiting(service)
        service.close()
        async with asyncio.timeout(WAIT_S / 2):
            assert len((await waiting)["interrupts"]) == 1
            assert len((await service.wait_for(caller, WAIT_S))["interrupts"]) == 1
        assert service.waiting == 0

    add_node(store)
    store.run(wait)


def test_a_look_that_ends_late_takes_back_nothing(store: Store) -> None:
    """Two looks cross: what the later one has seen still stands after the earlier one's end."""

    async def cross(database: Database) -> list[int]:
        service = InterruptService(database, lambda: NOW)
        read, seen, go_on = database.read, asyncio.Event(), asyncio.Event()

        async def read_late(work: Callable[[Connection], Any]) -> Any:
            found = await read(work)
            seen.set()
            await go_on.wait()
            return found

        monkeypatch.setattr(database, "read", read_late)
        early = asyncio.create_task(service.refresh())
        async with asyncio.timeout(WAIT_S):
            await seen.wait()
            monkeypatch.undo()
            number = await service.send(Operator("a test", Role.OPERATOR), INTERRUPT)
            go_on.set()
            await early
        found = await service.list_for(Caller("hilltop"))
        return [number, *(interrupt["id"] for interrupt in found["interrupts"])]

    with pytest.MonkeyPatch.context() as monkeypatch:
        add_node(store)
        number, *listed = store.run(cross)
    assert listed == [number]
