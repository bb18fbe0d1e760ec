"""An exposure's pixels as they come over the network."""

import json
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from boundless_skies.node.devices.alpaca.calls import Answer
from boundless_skies.node.devices.alpaca.device import AlpacaDevice
from boundless_skies.node.devices.errors import DeviceUnreachable

# ASCOM Alpaca API Reference, version 10, section 8: the header of ImageBytes, version 1.
_HEADER = struct.Struct("<11i")
_ELEMENTS = {
    1: "<i2",
    2: "<i4",
    3: "<f8",
    4: "<f4",
    5: "<u8",
    6: "u1",
    7: "<i8",
    8: "<u2",
    9: "<u4",
}
_WIDEST_BYTES = 8
_PLANES = 3
_JSON_BYTES_PER_VALUE = 12
_ROOM_BYTES = 4_096
_IMAGE_AXES = 2
_FULL_SCALE = 65_535


def most_bytes(width: int, height: int) -> int:
    """Return how large an image of so many pixels may be in any form that Alpaca has."""
    return width * height * max(_WIDEST_BYTES, _JSON_BYTES_PER_VALUE) * _PLANES + _ROOM_BYTES


def read_pixels(answer: Answer, camera: AlpacaDevice) -> npt.NDArray[np.uint16]:
    """Read an image.

    Parameters
    ----------
    answer : Answer
        ImageBytes, or the much larger JSON of servers without.
    camera : AlpacaDevice
        Whose image it is, for messages.

    Returns
    -------
    ndarray of uint16, shape (height, width)
        Alpaca counts columns first; here rows come first, the picture's top row as row 0.

    Raises
    ------
    DeviceUnreachable
        If the image is not whole.
    DeviceRefused
        If the camera reports an error instead, or the image does not fit into 16 bits of one
        plane.
    """
    packed = "imagebytes" in answer.content_type.lower()
    columns = _from_bytes(answer.body, camera) if packed else _from_json(answer.body, camera)
    if columns.ndim != _IMAGE_AXES:
        raise camera.refusal(
            "gives finished colour images; set it to raw ones, which can be measured"
        )
    return _in_16_bits(np.ascontiguousarray(columns.T), camera)


def _from_bytes(body: bytes, camera: AlpacaDevice) -> npt.NDArray[Any]:
    if len(body) < _HEADER.size:
        raise _not_whole(camera, f"it has {len(body)} bytes")
    version, error, _, _, start, _, element, rank, *sides = _HEADER.unpack_from(body)
    if error:
        raise camera.driver_error("imagearray", error, body[start:].decode("utf-8", "replace"))
    shape = sides[:rank]
    if version != 1 or element not in _ELEMENTS or rank not in (2, 3) or min(shape) < 1:
        raise _not_whole(camera, "its header makes no sense")
    kind = np.dtype(_ELEMENTS[element])
    needed = int(np.prod(shape, dtype=object)) * kind.itemsize
    if not _HEADER.size <= start or len(body) - start != needed:
        raise _not_whole(camera, f"it has {len(body) - start:,} of {needed:,} bytes")
    return np.frombuffer(body, kind, offset=start).reshape(shape)


def _from_json(body: bytes, camera: AlpacaDevice) -> npt.NDArray[Any]:
    try:
        content = json.loads(body)
        number = content["ErrorNumber"]
        if number:
            raise camera.driver_error("imagearray", number, content.get("ErrorMessage"))
        columns = np.array(content["Value"])
    except (ValueError, TypeError, KeyError, RecursionError) as fault:
        raise _not_whole(camera, "it is neither ImageBytes nor JSON") from fault
    if columns.dtype.kind not in "iuf" or not columns.size:
        raise _not_whole(camera, "it holds no numbers")
    return columns


def _in_16_bits(pixels: npt.NDArray[Any], camera: AlpacaDevice) -> npt.NDArray[np.uint16]:
    lowest, highest = pixels.min(), pixels.max()
    # Written so that an image with a NaN in it fails too.
    if not (lowest >= 0 and highest <= _FULL_SCALE):
        raise camera.refusal(
            f"gives values from {lowest:g} to {highest:g}; 0 to {_FULL_SCALE} fit into a frame"
        )
    whole = np.rint(pixels) if pixels.dtype.kind == "f" else pixels
    return whole.astype(np.uint16)


def _not_whole(camera: AlpacaDevice, why: str) -> DeviceUnreachable:
    return DeviceUnreachable(
        f"The {camera.words}'s image did not arrive whole: {why}.", device=camera.words
    )
