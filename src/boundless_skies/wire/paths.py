"""Paths below the cloud's base URL, and the headers that carry identity."""

from urllib.parse import quote

REGISTER = "/api/v1/nodes/register"
HEARTBEAT = "/api/v1/nodes/heartbeat"
NODE_SELF = "/api/v1/nodes/me"
NODE_KEY = f"{NODE_SELF}/key"
PLAN = "/api/v1/plan"
INTERRUPTS = "/api/v1/interrupts"
MEASUREMENTS = "/api/v1/measurements"
MEASUREMENTS_BATCH = f"{MEASUREMENTS}/batch"
IMAGES = "/api/v1/images"
HEALTH = "/api/v1/health"
TARGETS = "/api/v1/targets"
LIGHTCURVES = "/api/v1/lightcurves"
NETWORK_STATUS = "/api/v1/network/status"

NODE_ID_HEADER = "X-Node-Id"
API_KEY_HEADER = "X-Api-Key"
ADMIN_KEY_HEADER = "X-Admin-Key"
IDEMPOTENCY_HEADER = "Idempotency-Key"


def interrupt_ack(interrupt_id: int | str) -> str:
    """Path of the acknowledgement of one interrupt."""
    return f"{INTERRUPTS}/{interrupt_id}/ack"


def plan_events(plan_id: str) -> str:
    """Path that takes what became of a plan and its items."""
    return f"{PLAN}/{quote(plan_id, safe=':')}/events"


def interrupt_events(interrupt_id: int | str) -> str:
    """Path that takes what became of one interrupt."""
    return f"{INTERRUPTS}/{quote(str(interrupt_id), safe=':')}/events"


def interrupts_wait(wait_s: int) -> str:
    """Path of the interrupts, answered when there is one or after so many seconds."""
    return f"{INTERRUPTS}?wait={wait_s}"
