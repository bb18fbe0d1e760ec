"""``boundless cloud registration``, ``codes``, ``tokens`` and ``audit``: who may do what."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from boundless_skies.cloud.commands.context import (
    data_option,
    json_option,
    local_operator,
    run,
    say,
)
from boundless_skies.cloud.config import CloudConfig
from boundless_skies.cloud.domain.admission import DEFAULT_DAYS, Policy
from boundless_skies.cloud.domain.operators import Role
from boundless_skies.cloud.domain.times import ago, iso, utc_now
from boundless_skies.cloud.factory import Cloud
from boundless_skies.cloud.handlers.operator_entries import (
    describe_code,
    describe_deed,
    describe_token,
)
from boundless_skies.cloud.services.operators import DEEDS_MAX

POLICIES = {
    Policy.OPEN: "Every node may join.",
    Policy.CODE: "Nodes join with an activation code.",
    Policy.CLOSED: "No node may join.",
}


@click.command("registration")
@click.argument("policy", type=click.Choice([str(policy) for policy in Policy]), required=False)
@data_option
@json_option
@click.pass_obj
def registration(
    config: CloudConfig, policy: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Say which nodes may join, or decide it.

    It holds at once, and until it is changed or the cloud is started with
    --registration. Nodes that have joined are not touched.
    """

    async def decide(cloud: Cloud) -> Policy:
        if policy is None:
            return await cloud.services.admission.policy(local_operator())
        return await cloud.services.admission.set_policy(local_operator(), policy)

    holds = run(config, data_dir, decide)
    say(as_json, {"policy": str(holds)}, f"{holds}: {POLICIES[holds]}")


@click.group("codes")
def codes_group() -> None:
    """Make, list and withdraw activation codes, each of which lets one node in."""


@codes_group.command("create")
@click.option("--count", type=int, default=1, show_default=True, help="How many.")
@click.option("--note", default="", help="What for; nodes do not see it.")
@click.option("--days", type=float, default=DEFAULT_DAYS, show_default=True, help="Valid so long.")
@data_option
@json_option
@click.pass_obj
def create_codes(
    config: CloudConfig, /, data_dir: Path | None, as_json: bool, **order: Any
) -> None:
    """Make activation codes."""
    made = run(
        config,
        data_dir,
        lambda cloud: cloud.services.admission.create_codes(local_operator(), order),
    )
    now = utc_now()
    say(
        as_json,
        [describe_code(code, now) for code in made],
        "\n".join(code.code for code in made),
    )


@codes_group.command("list")
@data_option
@json_option
@click.pass_obj
def list_codes(config: CloudConfig, data_dir: Path | None, as_json: bool) -> None:
    """List the activation codes, the newest first."""
    found = run(
        config, data_dir, lambda cloud: cloud.services.admission.list_codes(local_operator())
    )
    now = utc_now()
    lines = [
        f"{code.code}  {code.state(now):<9}  until {code.expires_at:%Y-%m-%d}  "
        f"{code.used_by or '-':<24}  {code.note}".rstrip()
        for code in found
    ]
    say(
        as_json,
        [describe_code(code, now) for code in found],
        "\n".join(lines) or "No code has been made yet.",
    )


@codes_group.command("withdraw")
@click.argument("code")
@data_option
@json_option
@click.pass_obj
def withdraw_code(config: CloudConfig, code: str, data_dir: Path | None, as_json: bool) -> None:
    """Withdraw a code that no node has used yet."""
    run(
        config,
        data_dir,
        lambda cloud: cloud.services.admission.withdraw_code(local_operator(), code),
    )
    say(as_json, {"ok": True}, f"{code} lets nobody in any more.")


@click.group("tokens")
def tokens_group() -> None:
    """Make, list and revoke operators' tokens."""


@tokens_group.command("create")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([str(role) for role in Role]),
    required=True,
    help="What its owner may do: look; do the daily work; let others in.",
)
@data_option
@json_option
@click.pass_obj
def create_token(
    config: CloudConfig, name: str, role: str, data_dir: Path | None, as_json: bool
) -> None:
    """Make a token NAME. It is shown this once."""
    token = run(
        config,
        data_dir,
        lambda cloud: cloud.services.operators.create_token(local_operator(), name, role),
    )
    say(as_json, {"name": name, "role": role, "token": token}, token)


@tokens_group.command("list")
@data_option
@json_option
@click.pass_obj
def list_tokens(config: CloudConfig, data_dir: Path | None, as_json: bool) -> None:
    """List the tokens, revoked ones too."""
    found = run(
        config, data_dir, lambda cloud: cloud.services.operators.list_tokens(local_operator())
    )
    now = utc_now()
    lines = [
        f"{token.name:<24} {token.role:<9} {_use(token.last_used_at, token.revoked_at, now)}"
        for token in found
    ]
    say(
        as_json,
        [describe_token(token) for token in found],
        "\n".join(lines) or "There is no token yet.",
    )


@tokens_group.command("revoke")
@click.argument("name")
@data_option
@json_option
@click.pass_obj
def revoke_token(config: CloudConfig, name: str, data_dir: Path | None, as_json: bool) -> None:
    """Revoke a token; whoever is signed in with it is out at once.

    After the last admin's token, the cloud makes a new one at its next start.
    """
    run(
        config,
        data_dir,
        lambda cloud: cloud.services.operators.revoke_token(
            local_operator(), name, even_the_last=True
        ),
    )
    say(as_json, {"ok": True}, f"{name} is revoked.")


@click.command("audit")
@click.option(
    "--limit", type=click.IntRange(1, DEEDS_MAX), default=50, show_default=True, help="How many."
)
@data_option
@json_option
@click.pass_obj
def show_audit(config: CloudConfig, limit: int, data_dir: Path | None, as_json: bool) -> None:
    """Show what operators did, the newest first."""
    deeds = run(
        config,
        data_dir,
        lambda cloud: cloud.services.operators.list_deeds(local_operator(), limit),
    )
    lines = [
        f"{iso(deed.at)}  {deed.operator:<28} {deed.action:<18} {deed.subject}  "
        f"{json.dumps(deed.detail, ensure_ascii=False) if deed.detail else ''}".rstrip()
        for deed in deeds
    ]
    say(
        as_json,
        [describe_deed(deed) for deed in deeds],
        "\n".join(lines) or "Nothing has been done yet.",
    )


def _use(last_used_at: datetime | None, revoked_at: datetime | None, now: datetime) -> str:
    if revoked_at is not None:
        return f"revoked {ago(revoked_at, now)}"
    return f"last used {ago(last_used_at, now)}"
