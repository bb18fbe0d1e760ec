"""Targets and their names, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, insert, select, text
from tests.cloud.curves.conftest import Store
from tests.support.cloud_client import make_measurement

from boundless_skies.cloud.domain.curves import Selection
from boundless_skies.cloud.domain.measurements import Entry, read_measurement
from boundless_skies.cloud.schema.tables import measurements as measurements_table
from boundless_skies.cloud.schema.tables import tallies
from boundless_skies.cloud.services.settling import settle_group
from boundless_skies.cloud.storage import curves, measurements, migrating, targets

NOW = datetime(2026, 3, 1, 21, tzinfo=UTC)


def ensure(*names: str) -> Callable[[Connection], dict[str, str]]:
    """Return a job that makes sure of targets."""
    return lambda connection: targets.ensure(connection, names, NOW)


def measure(name: str, **changes: Any) -> Callable[[Connection], Any]:
    """Return a job that keeps a measurement under a name."""
    reading = read_measurement(make_measurement(target_name=name, **changes), None)
    entry = Entry(
        node_id="hill",
        target_name=name,
        reading=reading,
        key=None,
        software=None,
        received_at=NOW,
    )
    return lambda connection: measurements.add_all(connection, [entry])


def test_a_known_star_comes_with_all_that_is_known(store: Store) -> None:
    """Position, period, kind and other names come from the list at the first sight of a name."""
    assert store.write(ensure("algol")) == {"algol": "algol"}
    found = store.read(lambda connection: targets.find(connection, "algol"))
    assert (found.kind, found.period_d) == ("EA", pytest.approx(2.8673043))
    assert found.dec_deg == pytest.approx(40.95564)
    for name in ("Algol", "bet Per", "β Persei", "BETA PER"):
        assert store.read(lambda connection, name=name: targets.resolve(connection, name)) == (
            "algol"
        )
    assert store.write(ensure("beta Per")) == {"beta Per": "algol"}


def test_case_is_kept_where_it_distinguishes_stars(store: Store) -> None:
    """R Car and r Car are two; neither is found by the other's name."""
    store.write(ensure("R Car"))
    assert store.read(lambda connection: targets.resolve(connection, "r Car")) is None
    assert store.read(lambda connection: targets.resolve(connection, "r car")) == "R Car"
    assert store.write(ensure("r Car", "R Carinae")) == {"r Car": "r Car", "R Carinae": "R Car"}
    assert store.read(lambda connection: targets.resolve(connection, "r Car")) == "r Car"


def test_a_merge_moves_names_and_points(store: Store) -> None:
    """Nothing is lost where both have a point at the same time, and the tallies count anew."""
    store.write(ensure("Old one", "New one"))
    for name, magnitude in (("Old one", 12.0), ("New one", 12.1)):
        store.write(measure(name, magnitude=magnitude))
    store.write(measure("Old one", bjd=2461001.5))
    store.write(settle_group)
    assert store.write(lambda c: targets.merge(c, "Old one", "New one")) == 2
    assert store.read(lambda c: targets.list_names(c, "New one")) == ["New one", "Old one"]
    curve = store.read(lambda c: curves.read_points(c, "New one", Selection()))
    assert [(point.bjd, point.magnitude) for point in curve] == [
        (2461000.5, 12.0),
        (2461001.5, 11.873),
    ]
    assert store.read(lambda c: c.execute(select(tallies)).all()) == []
    while store.write(settle_group):
        pass
    rows = store.read(lambda c: c.execute(select(tallies.c.points, tallies.c.arrivals)).all())
    assert [tuple(row) for row in rows] == [(2, 3)]


def test_points_under_a_name_that_is_no_more_are_adopted(store: Store) -> None:
    """A process that had not heard of a merge loses nothing: its points follow."""
    store.write(ensure("A 1", "B 2"))
    store.write(lambda c: targets.merge(c, "A 1", "B 2"))
    store.write(measure("A 1"))
    assert store.write(lambda c: targets.adopt_nameless(c, NOW)) == 1
    assert len(store.read(lambda c: curves.read_points(c, "B 2", Selection()))) == 1
    assert store.write(lambda c: targets.adopt_nameless(c, NOW)) == 0


def test_an_upgrade_adopts_the_names_of_the_first_form(unmade: Store, tmp_path: Path) -> None:
    """Spellings of one star meet, with every point kept; R Car and r Car stay two."""
    names = ("SS Cyg", "ss cygni", "R Car", "r Car", "Algol")
    _make_first_form(unmade, tmp_path, names)
    steps = unmade.runner.run(unmade.database.migrate())
    assert [step[:4] for step in steps] == ["0002", "0003", "0004"]
    unmade.runner.run(unmade.database.open())
    kept = unmade.read(
        lambda c: c.execute(
            select(measurements_table.c.target_name, measurements_table.c.revision).order_by(
                measurements_table.c.id
            )
        ).all()
    )
    assert [tuple(row) for row in kept] == [
        ("SS Cyg", 1),
        ("SS Cyg", 2),
        ("R Car", 1),
        ("r Car", 1),
        ("Algol", 1),
    ]
    assert [target.name for target in unmade.read(targets.list_all)] == [
        "Algol",
        "R Car",
        "SS Cyg",
        "r Car",
    ]


def _make_first_form(unmade: Store, tmp_path: Path, names: tuple[str, ...]) -> None:
    if unmade.url is None:
        engine = create_engine(f"sqlite:///{tmp_path / 'cloud.sqlite3'}")
        with engine.begin() as connection:
            _fill_first_form(connection, names)
        engine.dispose()
        return

    async def fill() -> None:
        from boundless_skies.cloud.storage.postgresql import _make_engine  # noqa: PLC0415

        engine = _make_engine(unmade.database._url)  # type: ignore[attr-defined]
        async with engine.begin() as connection:
            await connection.run_sync(_fill_first_form, names)
        await engine.dispose()

    unmade.runner.run(fill())


def _fill_first_form(connection: Connection, names: tuple[str, ...]) -> None:
    config = migrating._config(connection)
    command.upgrade(config, migrating.FIRST_FORM)
    connection.execute(
        text(
            "INSERT INTO nodes (node_id, key_hash, owner_name, latitude_deg, longitude_deg, "
            "elevation_m, telescope_model, filters, utc_offset_hours, rig, registered_at, "
            "conditions) VALUES ('hill', 'x', '', 1, 1, 0, '', 'CV', 0, '{}', "
            "'2026-01-01 00:00:00', '{}')"
        )
    )
    first_form = measurements_table.c
    columns = [
        column.name
        for column in first_form
        if column.name not in ("software", "validation", "review")
    ]
    for number, name in enumerate(names, 1):
        reading = read_measurement(make_measurement(target_name=name), None)
        row = {
            "id": number,
            "node_id": "hill",
            "target_name": name,
            "bjd_tdb": reading.bjd,
            "magnitude": 10.0 + number,
            "uncertainty": 0.1,
            "filter": "V",
            "fits_file": "",
            "revision": 1,
            "is_newest": True,
            "payload": {},
            "conditions": {},
            "content_hash": str(number) * 8,
            "received_at": NOW,
        }
        assert set(row) <= set(columns)
        connection.execute(insert(measurements_table).values(**row))
