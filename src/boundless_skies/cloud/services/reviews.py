"""Reviewing points about which the nodes disagree."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.errors import InvalidInput, UnknownObject
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.reading import json_object
from boundless_skies.cloud.domain.reviews import NewVerdict, Verdict, read_verdict
from boundless_skies.cloud.domain.times import Clock
from boundless_skies.cloud.domain.validation import Observation, window_for
from boundless_skies.cloud.services.settling import judge_again
from boundless_skies.cloud.storage import audit, reviews, settling, targets
from boundless_skies.cloud.storage.database import Database
from boundless_skies.cloud.storage.reviews import ReviewedPoint

QUEUE_PAGE = 20
QUEUE_MAX = 200
WITNESSES_MAX = 500
"""How many points around a disputed one are shown; those nearest in time."""
ID_MAX = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """A point, the other points of its band around it in time, and what was said of it.

    ``window_d`` is how far apart points are compared (days); ``around`` reaches twice as far.
    """

    point: ReviewedPoint
    around: list[Observation]
    window_d: float
    verdicts: list[Verdict]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Disputed points that wait for a verdict: how many in all, and some of them."""

    waiting: int
    cases: list[Case]


class ReviewService:
    """Shows what is disputed, and keeps verdicts. Nothing is ever deleted.

    Parameters
    ----------
    database : Database
        Where measurements and verdicts are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def queue(self, operator: Operator, after_id: int = 0, limit: int = QUEUE_PAGE) -> Queue:
        """Return disputed points that nobody has judged, by number: those after one."""
        operator.require(Role.READER)
        most = max(1, min(limit, QUEUE_MAX))
        return await self._database.read(partial(_read_queue, after_id=after_id, limit=most))

    async def find(self, operator: Operator, number: int) -> Case:
        """Return a measurement with what is around it.

        Raises
        ------
        UnknownObject
            If there is none of this number.
        """
        operator.require(Role.READER)
        return await self._database.read(
            lambda connection: _case(connection, _find(connection, number))
        )

    async def judge(self, operator: Operator, number: int, body: Any) -> Case:
        """Accept or reject a point; a later verdict takes the place of an earlier one.

        A rejected point leaves the public light curve and is no witness any more, so
        its neighbours are compared anew.

        Raises
        ------
        UnknownObject
            If there is no measurement of this number.
        InvalidInput
            If the verdict breaks a rule, or the point was superseded by a newer revision.
        """
        operator.require(Role.OPERATOR)
        new = read_verdict(json_object(body, "The verdict"))
        return await self._database.write(
            partial(self._judge, operator=operator, number=number, new=new)
        )

    def _judge(
        self, connection: Connection, *, operator: Operator, number: int, new: NewVerdict
    ) -> Case:
        point, now = _find(connection, number), self._clock()
        if not point.is_newest:
            raise InvalidInput(
                f"The measurement {number} was superseded by a newer revision of its node; "
                "that one is what counts, and what can be judged."
            )
        reviews.add(connection, point, new, operator, now)
        judge_again(connection, point.target_name, point.filter, point.bjd)
        detail = {
            "reason": new.reason,
            "target": point.target_name,
            "node_id": point.node_id,
            "before": point.review,
        }
        action = f"review.{new.verdict}"
        audit.add(connection, operator, action, str(number), detail, now)
        return _case(connection, _find(connection, number))


def _read_queue(connection: Connection, *, after_id: int, limit: int) -> Queue:
    waiting = reviews.list_waiting(connection, after_id, limit)
    return Queue(
        waiting=reviews.count_waiting(connection),
        cases=[_case(connection, point) for point in waiting],
    )


def _find(connection: Connection, number: int) -> ReviewedPoint:
    found = reviews.find(connection, number) if 0 < number <= ID_MAX else None
    if found is None:
        raise UnknownObject(f"There is no measurement {number}; `boundless cloud review list`.")
    return found


def _case(connection: Connection, point: ReviewedPoint) -> Case:
    known = targets.find(connection, point.target_name)
    window_d = window_for(known.period_d if known else None)
    low, high = point.bjd - 2 * window_d, point.bjd + 2 * window_d
    held = settling.read_between(connection, point.target_name, point.filter, low, high)
    others = (observation for observation, _ in held if observation.id != point.id)
    nearest = sorted(others, key=lambda other: (abs(other.bjd - point.bjd), other.id))
    return Case(
        point=point,
        around=nearest[:WITNESSES_MAX],
        window_d=window_d,
        verdicts=reviews.list_verdicts(connection, point.id),
    )
