"""How much a cloud of ours carries, against one of the ordinary kind and against nothing at all."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.postgresql import running_postgresql

from benchmarks import light_curves, profiles, registered, servers
from benchmarks import stages as stage_costs
from benchmarks.rounds import CONNECTIONS, NODES, QUICK, Size, alone, in_turn, row
from boundless_skies.cloud.storage.opening import make_database

TITLE = "The cloud"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
FLEET_PERIODS_S = {"beat": 60.0, "plan": 300.0, "interrupts": 300.0}
_TWO_WORKERS = {1: "", 2: ", two workers"}
_HEAD = "| what | ours | the other | ratio | aim |\n|---|---|---|---|---|"
_INTRO = """Every server and the load generator run in processes of their own; the load generator
shares the machine's cores with them. `python -m benchmarks cloud --only NAME` measures one
table. "The ordinary cloud" is `benchmarks/field_cloud.py`: Flask, waitress and one commit a
request."""


@contextlib.contextmanager
def _our_cloud(
    database: str | None = None,
    *options: str,
    nodes: int = NODES,
    with_plans: bool = False,
    **more: Any,
) -> Iterator[servers.Server]:
    """Run our cloud with some nodes registered."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        given = ("--database", database, *options) if database else options
        if database:
            servers.migrate(database)
        with servers.ours(data, *given, **more) as server:
            place = database or str(data / "cloud.sqlite3")
            registered.in_ours(place, nodes, with_plans=with_plans)
            yield dataclasses.replace(server, database=place)


@contextlib.contextmanager
def _field_cloud(database: str | None = None, **more: Any) -> Iterator[servers.Server]:
    with tempfile.TemporaryDirectory() as name:
        place = database or str(Path(name) / "field.sqlite3")
        with servers.field(place, **more) as server:
            registered.in_field(place, NODES)
            yield server


@contextlib.contextmanager
def _both(
    environment: dict[str, str], *urls: str, workers: int = 1
) -> Iterator[list[servers.Server]]:
    """Run our cloud and the ordinary one, on SQLite or each on a database of PostgreSQL."""
    ours, other = urls or (None, None)
    with (
        _our_cloud(ours, "--workers", str(workers), environment=environment) as our_server,
        _field_cloud(other, environment=environment) as other_server,
    ):
        yield [our_server, other_server]


@contextlib.contextmanager
def _empty_cloud() -> Iterator[servers.Server]:
    """Run the same stack with the same check of the key, and nothing behind it."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        with servers.running("benchmarks.empty_cloud", str(data)) as server:
            registered.in_ours(str(data / "cloud.sqlite3"), NODES)
            yield server


def heartbeats(size: Size) -> list[str]:
    """Measure heartbeats against an empty handler."""
    with _our_cloud() as ours, _empty_cloud() as empty:
        pair = in_turn(ours, empty, size, "beats", "nothing")
    return [_HEAD, pair.row("heartbeats, SQLite, against an empty authenticated handler", "≥ 0.8")]


def measurements(size: Size) -> list[str]:
    """Measure durable measurements, one a request."""
    return _one_by_one(size, {}, "", {"SQLite": "≥ 5", "PostgreSQL": "≥ 3.5"})


def slow_disk(size: Size) -> list[str]:
    """Measure them on a disk that takes 2 ms more for each fsync."""
    with servers.slow_disk() as environment:
        aims = {"SQLite": "≥ 12", "PostgreSQL": "≥ 12"}
        return _one_by_one(size, environment, ", slow disk", aims)


def _one_by_one(
    size: Size, environment: dict[str, str], where: str, aims: dict[str, str]
) -> list[str]:
    with _both(environment) as (ours, other):
        pairs = [("SQLite", "SQLite", in_turn(ours, other, size, "measurements"))]
    with running_postgresql(environment=environment) as postgresql:
        for workers in (1, 2):
            urls = [postgresql.create_database() for _ in range(2)]
            with _both(environment, *urls, workers=workers) as (ours, other):
                pair = in_turn(ours, other, size, "measurements")
            pairs.append(("PostgreSQL", f"PostgreSQL{_TWO_WORKERS[workers]}", pair))
    rows = [_HEAD]
    for kind, named, pair in pairs:
        late, usual = pair.ours.p99_ms, pair.other.p50_ms
        quicker = "our p99 against the other's p50"
        rows += [
            pair.row(f"measurements one by one, {named}{where}", aims[kind]),
            row(quicker, f"{late:.1f} ms", f"{usual:.1f} ms", f"{late / usual:.2f}", "≤ 1"),
        ]
    return rows


def batches(size: Size) -> list[str]:
    """Measure batches of 500."""
    with _our_cloud() as server:
        sides = {"SQLite": alone(server, size, "batches")}
    with running_postgresql() as postgresql:
        for workers in (1, 2):
            database = postgresql.create_database()
            with _our_cloud(database, "--workers", str(workers)) as server:
                named = f"PostgreSQL{_TWO_WORKERS[workers]}"
                sides[named] = alone(server, size, "batches")
    return [_HEAD] + [
        row(
            f"durable measurements in batches of 500, {kind}",
            f"{side.per_s * 500:,.0f}/s; p50 {side.p50_ms:.0f}, p99 {side.p99_ms:.0f} ms a batch",
            aim="≥ 20,000/s",
        )
        for kind, side in sides.items()
    ]


def stages(size: Size) -> list[str]:
    """Measure what one interpreter spends on a measurement."""
    del size
    with tempfile.TemporaryDirectory() as name:
        place = f"sqlite:///{Path(name) / 'cloud.sqlite3'}"
        asyncio.run(make_database(place, Path()).migrate())
        sides = {"SQLite": stage_costs.costs(place)}
    with running_postgresql() as postgresql:
        place = postgresql.create_database()
        servers.migrate(place)
        sides["PostgreSQL"] = stage_costs.costs(place)
    return [_HEAD] + [
        row(f"{what}, {kind}", cost) for kind, costs in sides.items() for what, cost in costs
    ]


def fleet(size: Size) -> list[str]:
    """Measure what 100,000 nodes send at a fixed rate."""
    with running_postgresql() as postgresql:
        url = postgresql.create_database()
        return [_HEAD, *_fleet_on(size, "SQLite"), *_fleet_on(size, "PostgreSQL", url)]


def _fleet_on(size: Size, kind: str, url: str | None = None) -> list[str]:
    with _our_cloud(url, nodes=size.fleet, with_plans=True) as server:
        before = server.memory_mb()
        used = server.cpu_s()
        result = servers.load(
            "fleet",
            server.url,
            nodes=size.fleet,
            connections=size.fleet_connections,
            periods_s=FLEET_PERIODS_S,
            windows_s=size.fleet_windows_s,
        )
        busy = (server.cpu_s() - used) / sum(size.fleet_windows_s)
        memory = server.memory_mb()
    answers = result["windows"]
    failed = sum(each["answers"] - each["statuses"].get("200", 0) for each in answers)
    failed += result["unanswered"] + sum(each["lost_connections"] for each in answers)
    what = f"{size.fleet:,} nodes, {kind}"
    usage = f"{busy:.0%} of a core; {memory:.0f} MB"
    return [
        row(f"{what}, first minute: no key known yet", _fleet_told(answers[0]), aim="p99 < 100 ms"),
        row(f"{what}, second minute", _fleet_told(answers[1]), aim="p99 < 100 ms"),
        row(f"{what}: refused, failed, lost", str(failed), aim="0"),
        row(f"{what}: the worker", usage, f"{before:.0f} MB before", aim="< 400 MB"),
    ]


def _fleet_told(window: dict[str, Any]) -> str:
    return (
        f"{window['per_s']:,.0f}/s; p50 {window['p50_ms']:.1f}, p99 {window['p99_ms']:.1f}, "
        f"longest {window['p100_ms']:.0f} ms"
    )


def waiting(size: Size) -> list[str]:
    """Measure the memory of nodes that wait for an interrupt."""
    with _our_cloud(nodes=size.waiting) as server:
        before = server.memory_mb()
        arguments = {"nodes": size.waiting, "hold_s": size.waiting_s}
        with servers.loading("waiting", server.url, **arguments) as load:
            load.wait_until_ready()
            memory = server.memory_mb()
            result = load.result()
    each_kb = f"{(memory - before) / size.waiting * 1e3:.1f} kB a node"
    answers = f"{result['statuses']}; {result['lost_connections']} lost"
    return [
        _HEAD,
        row(f"{size.waiting:,} nodes waiting", f"{memory:.0f} MB", f"{before:.0f} MB", each_kb),
        row("their answers after 25 s, by status", answers, aim="200 only"),
    ]


def interrupts(size: Size) -> list[str]:
    """Measure how long an interrupt takes to all nodes that wait for it."""
    with (
        running_postgresql() as postgresql,
        _our_cloud(postgresql.create_database(), "--workers", "2", nodes=size.told) as server,
    ):
        result = servers.load(
            "interrupt",
            server.url,
            nodes=size.told,
            rounds=size.interrupts,
            admin_key=servers.ADMIN_KEY,
        )
    missed = result["asked"] - result["statuses"].get("200", 0)
    times = (
        f"p50 {result['p50_ms']:.0f}, p99 {result['p99_ms']:.0f}, last {result['p100_ms']:.0f} ms"
    )
    return [
        _HEAD,
        row(
            f"an interrupt to {size.told:,} waiting nodes, {size.interrupts} times",
            f"{times}; {missed} missed",
            aim="p50 < 100 ms, p99 < 1 s",
        ),
    ]


def light_curve(size: Size) -> list[str]:
    """Measure a light curve of 1,000 points out of millions of measurements."""
    with running_postgresql() as postgresql:
        rows, plan = _light_curve_on(size, "PostgreSQL", postgresql.create_database())
    more, plan_of_sqlite = _light_curve_on(size, "SQLite")
    return [
        *(_HEAD, *rows, *more),
        *("", "The plan of PostgreSQL, shortened, and of SQLite:", ""),
        *("```", *light_curves.shortened(plan), "", *plan_of_sqlite, "```"),
    ]


def _light_curve_on(
    size: Size, kind: str, database: str | None = None
) -> tuple[list[str], list[str]]:
    targets = size.points // light_curves.POINTS_EACH
    with _our_cloud(database) as server:
        begin = time.perf_counter()
        light_curves.fill(server.database, size.points)
        filled_s = time.perf_counter() - begin
        took_ms, plan = light_curves.time_in_database(server.database, targets)
        whole = alone(server, size, "curves", connections=1, nodes=targets)
        room = light_curves.size_mb(server.database)
    what = f"1,000 of {size.points:,} points, {kind}"
    return [
        row(f"{what}: in the database", f"{took_ms:.1f} ms"),
        row(f"{what}: over HTTP", f"p50 {whole.p50_ms:.1f}, p99 {whole.p99_ms:.1f} ms"),
        row(f"{what}: the database", f"{room:,.0f} MB, filled in {filled_s:.0f} s"),
    ], plan


def profile(size: Size) -> list[str]:
    """Sample a worker under two loads."""
    lines = []
    with _our_cloud() as server:
        arguments = {"kind": "measurements", "connections": CONNECTIONS, "nodes": NODES, "start": 0}
        times = {"warm_s": size.warm_s, "measure_s": size.measure_s * 2}
        with servers.loading("closed", server.url, **arguments, **times) as load:
            load.wait_until_ready()
            seen = profiles.samples(server, size.measure_s * 2)
        lines += _profiled("measurements one by one", seen)
    with _our_cloud(nodes=size.fleet, with_plans=True) as server:
        arguments = {"nodes": size.fleet, "connections": size.fleet_connections}
        times = {"periods_s": FLEET_PERIODS_S, "windows_s": size.fleet_windows_s}
        with servers.loading("fleet", server.url, **arguments, **times) as load:
            load.wait_until_ready()
            seen = profiles.samples(server, sum(size.fleet_windows_s) / 2)
        lines += _profiled(f"a fleet of {size.fleet:,}", seen)
    return lines


def _profiled(load: str, seen: Any) -> list[str]:
    return [
        *(f"| {load}: whose code is running | share |", "|---|---|", *profiles.by_part(seen)),
        *("", f"| {load}: our functions, with all that they call | share |", "|---|---|"),
        *(*profiles.by_function(seen), ""),
    ]


@dataclass(frozen=True)
class Scenario:
    """A table of the page: its title, what measures its rows, how it was done."""

    title: str
    measure: Callable[[Size], list[str]]
    method: str


SCENARIOS: dict[str, Scenario] = {
    "heartbeats": Scenario(
        "Heartbeats",
        heartbeats,
        "32 kept-alive connections that are always busy, 250 nodes in turn, one worker. The "
        "empty handler (`benchmarks/empty_cloud.py`) runs on the same server and framework, "
        "checks the key in the same way and answers. Rounds of both in turn; the ratio is the "
        "median of the rounds' ratios, smallest and largest behind it.",
    ),
    "measurements": Scenario(
        "Measurements, one by one",
        measurements,
        "Payloads of about 900 bytes over 32 kept-alive connections that are always busy, from "
        "250 nodes; every answer comes after the commit is on disk. Ours has one worker, or two "
        "where it says so: the machine has two cores. Rounds of both clouds in "
        "turn. CPU is that of the server's own processes, without PostgreSQL's.",
    ),
    "slow-disk": Scenario(
        "The same on an ordinary disk",
        slow_disk,
        "As above, with 2 ms added to each `fsync` and `fdatasync` of both clouds and of "
        "PostgreSQL by a library loaded before libc (`benchmarks/slow_disk.c`).",
    ),
    "batches": Scenario(
        "Batches",
        batches,
        "500 measurements a request, packed with gzip before the clock starts, 32 connections "
        "always busy; one worker, or two.",
    ),
    "stages": Scenario(
        "What a measurement costs",
        stages,
        "One process without HTTP, one batch or group after another, the machine otherwise idle. "
        "This is what bounds the tables above: a second of one interpreter divided by the CPU of "
        "a batch's measurement is the most that batches can come to on one worker, and what HTTP "
        "costs beside it is the empty handler's CPU in the table of heartbeats.",
    ),
    "fleet": Scenario(
        "A fleet of 100,000",
        fleet,
        "Each node, registered straight in the database, beats every 60 s and asks for plan and "
        "interrupts every 300 s, their phases spread evenly: 2,333 requests a second at a fixed "
        "rate to one worker, whatever comes back. Each has a plan of ten items, told whole with "
        "each poll. Times count from when a request was due. The "
        "nodes share 10,000 kept-alive connections, as behind a proxy: 100,000 of their own would "
        "be more than the process may open.",
    ),
    "waiting": Scenario(
        "Nodes that wait",
        waiting,
        "Each on its own connection, `GET /api/v1/interrupts?wait=25`, again after each answer, "
        "one worker. Memory is the proportional set size.",
    ),
    "interrupts": Scenario(
        "An interrupt's way",
        interrupts,
        "From the operator's POST to the arrival at each node, all on connections of their own, "
        "two workers on PostgreSQL; each node acknowledges and waits again before the next.",
    ),
    "light-curve": Scenario(
        "A light curve",
        light_curve,
        "Measurements filled in by SQL in the order of time, those of 10,000 targets in turn, over "
        "five years; 31 light curves each. PostgreSQL's own execution time; SQLite's from Python, "
        "reading the rows included. Over HTTP: one connection.",
    ),
    "profile": Scenario(
        "Where a worker's time goes",
        profile,
        "Sampled by py-spy, 200 times a second, all threads that are not idle; SQLite. The load "
        "is that of the tables above.",
    ),
}


def section(only: str | None = None, *, quick: bool = False) -> str:
    """Measure all tables, or one; the others stay as the page has them."""
    if only is not None and only not in SCENARIOS:
        raise SystemExit(f"no table {only}: there are {', '.join(SCENARIOS)}")
    tables = _tables_on_page()
    for name in [only] if only else SCENARIOS:
        tables[SCENARIOS[name].title] = _measured(SCENARIOS[name], QUICK if quick else Size())
    titles = [each.title for each in SCENARIOS.values() if each.title in tables]
    return "\n\n".join([_INTRO, *(f"### {title}\n\n{tables[title]}" for title in titles)])


def _measured(scenario: Scenario, size: Size) -> str:
    load = os.getloadavg()[1]
    lines = "\n".join(scenario.measure(size)).strip()
    day = dt.datetime.now(tz=dt.UTC).date()
    busy = f"Measured on {day}; the machine's load before it was {load:.1f}."
    return f"{lines}\n\n{scenario.method} {busy}"


def _tables_on_page() -> dict[str, str]:
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    found = re.search(rf"^## {TITLE}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    blocks = found[1].split("\n### ")[1:] if found else []
    pairs = (block.partition("\n\n") for block in blocks)
    return {title: text.strip() for title, _, text in pairs}
