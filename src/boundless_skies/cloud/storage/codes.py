"""Queries about activation codes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, case, func, insert, select, update

from boundless_skies.cloud.domain.admission import ActivationCode, CodeState
from boundless_skies.cloud.schema.tables import activation_codes

_c = activation_codes.c


def add_all(connection: Connection, codes: Sequence[ActivationCode]) -> None:
    """Add codes."""
    connection.execute(insert(activation_codes), [asdict(code) for code in codes])


def find(connection: Connection, code: str) -> ActivationCode | None:
    """Return a code."""
    row = connection.execute(select(activation_codes).where(_c.code == code)).mappings().first()
    return None if row is None else ActivationCode(**row)


def list_newest(connection: Connection, limit: int) -> list[ActivationCode]:
    """Return the codes that were made last, the newest first."""
    query = select(activation_codes).order_by(_c.created_at.desc(), _c.code).limit(limit)
    return [ActivationCode(**row) for row in connection.execute(query).mappings()]


def count_by_state(connection: Connection, now: datetime) -> Counter[CodeState]:
    """Return how many codes are in each state."""
    state = case(
        (_c.used_at.is_not(None), CodeState.USED),
        (_c.withdrawn_at.is_not(None), CodeState.WITHDRAWN),
        (_c.expires_at <= now, CodeState.EXPIRED),
        else_=CodeState.VALID,
    )
    query = select(state.label("state"), func.count().label("codes")).group_by("state")
    return Counter({CodeState(row.state): row.codes for row in connection.execute(query)})


def use(connection: Connection, code: str, node_id: str, now: datetime) -> bool:
    """Use a code for a node; tells whether it was valid, which it is for one node only."""
    done = connection.execute(
        update(activation_codes)
        .where(
            _c.code == code, _c.used_at.is_(None), _c.withdrawn_at.is_(None), _c.expires_at > now
        )
        .values(used_at=now, used_by=node_id)
    )
    return done.rowcount == 1


def withdraw(connection: Connection, code: str, now: datetime) -> bool:
    """Withdraw a code; tells whether it was there, neither used nor withdrawn."""
    done = connection.execute(
        update(activation_codes)
        .where(_c.code == code, _c.used_at.is_(None), _c.withdrawn_at.is_(None))
        .values(withdrawn_at=now)
    )
    return done.rowcount == 1
