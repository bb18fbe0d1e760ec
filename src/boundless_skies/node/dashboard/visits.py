"""Who looks at the dashboard, and which of their requests may change anything.

A session is a random name in a cookie. It is made for anybody, so that every form can carry
a token that belongs to it; where there is a password, only a session that gave it gets in.
"""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

SIGNED_IN_MAX = 64
"""So many sessions may be signed in; the one signed in longest ago gives way."""
SESSION_S = 30 * 86_400.0
"""A session ends so long after its sign-in (s)."""
FAILURES_MAX, FAILURES_S = 5, 300.0
"""So many wrong passwords of one address, and so many times ten of all, within so long (s)."""
ADDRESSES_MAX = 256

_EVERYBODY = ""
_EVERYBODY_FACTOR = 10
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1

Seconds = Callable[[], float]


@dataclass(frozen=True)
class Form:
    """The fields of a form, each with its values in their order."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return the last value of a field without the space around it; empty where missing."""
        return (self.fields.get(name) or ("",))[-1].strip()

    def all(self, name: str) -> list[str]:
        """Return all values of a field, in their order."""
        return list(self.fields.get(name, ()))


@dataclass(frozen=True)
class Visit:
    """One request: whose it is, and the form that came with it."""

    session: str
    token: str
    signed_in: bool
    address: str
    form: Form = Form()


class Password:
    """The password, kept only as what cannot be turned back into it.

    Parameters
    ----------
    text : str
        The password; empty for none.
    """

    def __init__(self, text: str) -> None:
        self._salt = secrets.token_bytes(16)
        self._hash = self._hashed(text) if text else b""

    def __bool__(self) -> bool:
        return bool(self._hash)

    def fits(self, text: str) -> bool:
        """Tell whether this is the password; it takes the same time for every wrong one."""
        return bool(self._hash) and hmac.compare_digest(self._hash, self._hashed(text))

    def _hashed(self, text: str) -> bytes:
        return hashlib.scrypt(
            text.encode("utf-8", "surrogatepass"),
            salt=self._salt,
            n=_SCRYPT_N,
            r=_SCRYPT_R,
            p=_SCRYPT_P,
        )


class Sessions:
    """The sessions of a running dashboard; they end with it.

    Parameters
    ----------
    monotonic : callable
        Gives seconds from some fixed point on.
    """

    def __init__(self, monotonic: Seconds) -> None:
        self._monotonic = monotonic
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._signed_in: OrderedDict[str, float] = OrderedDict()

    def new(self) -> str:
        """Return a new session's name, which nobody can guess."""
        name = secrets.token_urlsafe(24)
        return f"{name}.{self._proof('session', name)}"

    def is_ours(self, session: str) -> bool:
        """Tell whether this dashboard made a session's name."""
        name, _, proof = session.partition(".")
        return hmac.compare_digest(proof.encode(), self._proof("session", name).encode())

    def token(self, session: str) -> str:
        """Return what every form of a session carries, and nobody else's can."""
        return self._proof("form", session)

    def sign_in(self) -> str:
        """Return the name of a new session that is signed in."""
        session = self.new()
        with self._lock:
            self._signed_in[session] = self._monotonic() + SESSION_S
            while len(self._signed_in) > SIGNED_IN_MAX:
                self._signed_in.popitem(last=False)
        return session

    def sign_out(self, session: str) -> None:
        """End a session."""
        with self._lock:
            self._signed_in.pop(session, None)

    def is_signed_in(self, session: str) -> bool:
        """Tell whether a session gave the password, and not too long ago."""
        with self._lock:
            return self._signed_in.get(session, 0.0) > self._monotonic()

    def _proof(self, purpose: str, text: str) -> str:
        told = f"{purpose} {text}".encode("utf-8", "replace")
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()


class Attempts:
    """Counts wrong passwords, so that nobody can try many.

    Parameters
    ----------
    monotonic : callable
        Gives seconds from some fixed point on.
    """

    def __init__(self, monotonic: Seconds) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Return how long an address has to wait before its next try (s); 0 for not at all."""
        with self._lock:
            return max(
                self._wait_s(address, FAILURES_MAX),
                self._wait_s(_EVERYBODY, FAILURES_MAX * _EVERYBODY_FACTOR),
            )

    def failed(self, address: str) -> None:
        """Count a wrong password."""
        with self._lock:
            for name, most in (
                (address, FAILURES_MAX),
                (_EVERYBODY, FAILURES_MAX * _EVERYBODY_FACTOR),
            ):
                self._failed.setdefault(name, deque(maxlen=most)).append(self._monotonic())
            self._failed.move_to_end(_EVERYBODY)
            while len(self._failed) > ADDRESSES_MAX:
                self._failed.popitem(last=False)

    def _wait_s(self, name: str, most: int) -> float:
        times = self._failed.get(name, deque())
        if len(times) < most:
            return 0.0
        return max(0.0, times[0] + FAILURES_S - self._monotonic())
