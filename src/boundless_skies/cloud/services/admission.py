"""Who may join: the policy, and activation codes."""

from functools import partial
from typing import Any

from sqlalchemy import Connection

from boundless_skies.cloud.domain.admission import (
    CODE_MISSING,
    DEFAULT_POLICY,
    NETWORK_CLOSED,
    ActivationCode,
    CodeOrder,
    Policy,
    masked,
    new_code,
    read_code,
    read_order,
    read_policy,
    refusal,
)
from boundless_skies.cloud.domain.errors import Forbidden, UnknownObject
from boundless_skies.cloud.domain.operators import Operator, Role
from boundless_skies.cloud.domain.reading import json_object, shown
from boundless_skies.cloud.domain.times import Clock, iso
from boundless_skies.cloud.storage import audit, codes, settings
from boundless_skies.cloud.storage.database import Database

POLICY_SETTING = "registration_policy"
CODES_SHOWN_MAX = 1_000


class AdmissionService:
    """Keeps the policy and the codes by which nodes are let in.

    The policy stands in the database and is read with each registration, so that a
    change holds at once in every process.

    Parameters
    ----------
    database : Database
        Where both are kept.
    clock : Clock
        The present instant.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def policy(self, operator: Operator) -> Policy:
        """Return which nodes may join."""
        operator.require(Role.READER)
        return await self._database.read(current_policy)

    async def set_policy(self, operator: Operator, value: Any) -> Policy:
        """Decide which nodes may join from now on.

        Raises
        ------
        InvalidInput
            If there is no such policy.
        """
        operator.require(Role.ADMIN)
        policy = read_policy(value)
        await self._database.write(partial(self._set_policy, operator=operator, policy=policy))
        return policy

    async def create_codes(self, operator: Operator, body: Any) -> list[ActivationCode]:
        """Make codes, each of which lets one node in.

        Raises
        ------
        InvalidInput
            If the request breaks a rule.
        """
        operator.require(Role.OPERATOR)
        order = read_order(json_object(body, "The request"))
        return await self._database.write(partial(self._create, operator=operator, order=order))

    async def list_codes(self, operator: Operator) -> list[ActivationCode]:
        """Return the codes that were made last, spent ones too, the newest first."""
        operator.require(Role.OPERATOR)
        return await self._database.read(partial(codes.list_newest, limit=CODES_SHOWN_MAX))

    async def withdraw_code(self, operator: Operator, code: str) -> None:
        """Withdraw a code that nobody has used yet.

        Raises
        ------
        UnknownObject
            If there is no such code, or it is used or withdrawn already.
        """
        operator.require(Role.OPERATOR)
        known = read_code(code) or ""
        await self._database.write(
            partial(self._withdraw, operator=operator, code=known, typed=code)
        )

    def _set_policy(self, connection: Connection, *, operator: Operator, policy: Policy) -> None:
        before = current_policy(connection)
        if before == policy:
            return
        settings.put(connection, POLICY_SETTING, str(policy))
        detail = {"before": str(before)}
        audit.add(connection, operator, "registration.set", str(policy), detail, self._clock())

    def _create(
        self, connection: Connection, *, operator: Operator, order: CodeOrder
    ) -> list[ActivationCode]:
        now = self._clock()
        made = [
            ActivationCode(
                code=new_code(now),
                note=order.note,
                created_at=now,
                created_by=operator.name,
                expires_at=now + order.lifetime,
            )
            for _ in range(order.count)
        ]
        codes.add_all(connection, made)
        detail = {
            "note": order.note,
            "expires_at": iso(now + order.lifetime),
            "codes": [masked(code.code) for code in made],
        }
        audit.add(connection, operator, "codes.create", str(order.count), detail, now)
        return made

    def _withdraw(
        self, connection: Connection, *, operator: Operator, code: str, typed: str
    ) -> None:
        now = self._clock()
        if not codes.withdraw(connection, code, now):
            found = codes.find(connection, code)
            reason = f"was {found.state(now)} before" if found else "is not known"
            raise UnknownObject(
                f"The code {shown(typed)} {reason}; `boundless cloud codes list` lists all."
            )
        audit.add(connection, operator, "codes.withdraw", masked(code), {}, now)


def current_policy(connection: Connection) -> Policy:
    """Return which nodes may join."""
    return Policy(settings.get(connection, POLICY_SETTING) or DEFAULT_POLICY)


def admit(connection: Connection, given: Any, node_id: str, clock: Clock) -> None:
    """Let a node in, or not; in the transaction that adds it, so that both happen or neither.

    Parameters
    ----------
    connection : Connection
        In a transaction that writes.
    given : Any
        The activation code as it came, if one did.
    node_id : str
        The node that would use it.
    clock : Clock
        The present instant.

    Raises
    ------
    Forbidden
        If the policy does not let it in: which it is, and what to do.
    """
    policy, code, now = current_policy(connection), read_code(given), clock()
    if policy is Policy.CLOSED:
        raise Forbidden(NETWORK_CLOSED)
    if code is None:
        if policy is Policy.CODE:
            raise Forbidden(CODE_MISSING)
        return
    if not codes.use(connection, code, node_id, now) and policy is Policy.CODE:
        raise refusal(codes.find(connection, code), now)
