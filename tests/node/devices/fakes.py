"""An Alpaca server with the devices that a test wants, and the faults that it gives them."""

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import numpy.typing as npt
from tests.support.capture_server import Answer, CaptureServer, Request, capture_server


def ok(value: Any = None) -> Answer:
    """Answer as a driver does that did what it was asked."""
    return Answer(body={"Value": value, "ErrorNumber": 0, "ErrorMessage": ""})


def error(number: int, message: str) -> Answer:
    """Answer as a driver does that refuses."""
    return Answer(body={"ErrorNumber": number, "ErrorMessage": message})


def image_bytes(
    pixels: npt.NDArray[Any], element: int = 8, *, error_number: int = 0, start: int = 44
) -> bytes:
    """Return pixels of shape (height, width) or (height, width, planes) as ImageBytes."""
    columns = np.ascontiguousarray(np.swapaxes(pixels, 0, 1))
    sides = (*columns.shape, 0)[:3]
    head = struct.pack("<11i", 1, error_number, 1, 1, start, 2, element, columns.ndim, *sides)
    return head + bytes(start - len(head)) + columns.tobytes()


class FakeAlpaca:
    """A server with a mount, a camera, a focuser, a filter wheel and a weather station.

    ``values`` are the properties by ``kind/name``, an :class:`Answer` where the driver fails;
    what is set is kept there. ``orders`` holds each PUT as ``kind/name`` with its parameters.
    """

    def __init__(self, server: CaptureServer) -> None:
        self.server = server
        self.orders: list[tuple[str, dict[str, str]]] = []
        self.values: dict[str, Any] = {
            "telescope/name": "Fake mount",
            "telescope/atpark": False,
            "telescope/slewing": False,
            "telescope/tracking": False,
            "telescope/equatorialsystem": 2,
            "telescope/rightascension": 0.0,
            "telescope/declination": 0.0,
            **{
                f"telescope/can{name}": True
                for name in ("slewasync", "sync", "park", "unpark", "settracking")
            },
            "camera/name": "Fake camera",
            "camera/cameraxsize": 6,
            "camera/cameraysize": 4,
            "camera/maxbinx": 2,
            "camera/exposuremin": 0.0,
            "camera/exposuremax": 60.0,
            "camera/sensortype": 0,
            "camera/imageready": True,
            "camera/canabortexposure": True,
            "camera/maxadu": 65_535,
            **{f"camera/{name}": 0 for name in ("binx", "biny", "startx", "starty")},
            **{f"camera/{name}": 0 for name in ("numx", "numy", "camerastate")},
            "focuser/absolute": True,
            "focuser/position": 500,
            "focuser/maxstep": 1_000,
            "focuser/maxincrement": 200,
            "focuser/ismoving": False,
            "filterwheel/names": ["B", "V"],
            "filterwheel/position": 0,
            "safetymonitor/issafe": True,
        }
        self.image = Answer(
            body=image_bytes(np.arange(24, dtype=np.uint16).reshape(4, 6)),
            headers={"Content-Type": "application/imagebytes"},
        )
        self.image_now: Callable[[], Answer] | None = None
        self.everything: Answer | None = None
        self.changing: dict[str, Callable[[], Any]] = {}
        server.rules = _Everything(self)

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.server.port}"

    def ordered(self, name: str) -> list[dict[str, str]]:
        """Return the parameters of each order of a name."""
        return [values for ordered, values in self.orders if ordered == name]

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        if self.everything is not None:
            return self.everything
        path = request.path.partition("?")[0]
        if path == "/management/v1/configureddevices":
            return ok(self._listed())
        kind, _, name = path.removeprefix("/api/v1/").split("/")
        if request.method == "PUT":
            return self._put(f"{kind}/{name}", request)
        if name == "imagearray":
            return self.image_now() if self.image_now else self.image
        if f"{kind}/{name}" in self.changing:
            value = self.changing[f"{kind}/{name}"]()
            return value if isinstance(value, Answer) else ok(value)
        value = self.values.get(f"{kind}/{name}", error(0x400, f"{name} is not implemented"))
        return value if isinstance(value, Answer) else ok(value)

    def _listed(self) -> list[dict[str, Any]]:
        kinds = sorted({key.partition("/")[0] for key in self.values})
        return [
            {"DeviceName": kind, "DeviceType": kind, "DeviceNumber": 0, "UniqueID": f"id-{kind}"}
            for kind in kinds
        ]

    def _put(self, name: str, request: Request) -> Answer:
        form = {key: value[0] for key, value in parse_qs(request.body.decode()).items()}
        self.orders.append((name, form))
        prepared = self.values.get(f"PUT {name}")
        if isinstance(prepared, Answer):
            return prepared
        self._obey(name, form)
        return ok()

    def _obey(self, name: str, form: dict[str, str]) -> None:
        method = name.partition("/")[2]
        match method:
            case "slewtocoordinatesasync" | "synctocoordinates":
                self.values["telescope/rightascension"] = float(form["RightAscension"])
                self.values["telescope/declination"] = float(form["Declination"])
            case "park" | "unpark":
                self.values["telescope/atpark"] = method == "park"
            case "move":
                self.values["focuser/position"] = int(form["Position"])
            case _ if name in self.values and len(form) == 3:
                value = next(v for key, v in form.items() if not key.startswith("Client"))
                self.values[name] = json.loads(value.lower())


class _Everything(dict[str, Any]):
    """Rules that send every request to the fake."""

    def __init__(self, fake: FakeAlpaca) -> None:
        super().__init__()
        self._fake = fake

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __getitem__(self, name: str) -> Any:
        return self._fake.answer


@contextmanager
def fake_alpaca() -> Iterator[FakeAlpaca]:
    """Run a fake."""
    with capture_server() as server:
        yield FakeAlpaca(server)
