"""Thumbnails of good frames, of real ones, and of files that are none."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

from boundless_skies.cloud.domain.errors import InvalidInput
from boundless_skies.cloud.domain.pictures import Thumbnail, is_north_up
from boundless_skies.cloud.domain.thumbnails import make_thumbnail

PROJECT = Path(__file__).parents[3]
FRAMES = PROJECT.parent / "shared" / "frames"
T_SEX = PROJECT / "src" / "boundless_skies" / "demo" / "data" / "t_sex.fits.fz"
SKY = 1_000.0


def a_sky(height: int = 200, width: int = 300, stars: tuple[tuple[int, int], ...] = ()) -> Any:
    """Return noise, with a bright star at each (x, y)."""
    sky = np.random.default_rng(1).normal(SKY, 10.0, (height, width)).astype(np.float32)
    for x, y in stars:
        sky[y - 2 : y + 3, x - 2 : x + 3] += 5_000.0
    return sky


def as_file(data: Any, kind: Any = fits.PrimaryHDU, **cards: Any) -> bytes:
    """Return the bytes of a FITS file."""
    hdu = kind(data)
    hdu.header.update(cards)
    hdus = [hdu] if kind is fits.PrimaryHDU else [fits.PrimaryHDU(), hdu]
    file = io.BytesIO()
    fits.HDUList(hdus).writeto(file)
    return file.getvalue()


def header_only(*cards: tuple[str, object]) -> bytes:
    """Return a header whose data never comes."""
    lines = [f"{key:<8}= {value!s:>20}".ljust(80) for key, value in cards]
    text = "".join([*lines, "END".ljust(80)])
    return text.ljust(-(-len(text) // 2880) * 2880).encode()


def announce(*axes: int, bitpix: int = 16) -> bytes:
    """Return a header that announces an image of some size."""
    sizes = [(f"NAXIS{number}", size) for number, size in enumerate(axes, start=1)]
    return header_only(("SIMPLE", "T"), ("BITPIX", bitpix), ("NAXIS", len(axes)), *sizes)


def shades(png: bytes) -> Any:
    """Return the pixels of a PNG file, black where it is transparent."""
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        assert picture.mode in {"L", "LA"}
        grey, opacity = np.moveaxis(np.asarray(picture.convert("LA")), -1, 0)
        return np.where(opacity == 255, grey, 0)


def opacity(png: bytes) -> Any:
    """Return how opaque each pixel of a PNG file is, from 0 to 1."""
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("LA"))[..., 1] / 255


def brightest(png: bytes) -> list[tuple[int, int]]:
    """Return (x, y) of the white places, from the top left corner."""
    ys, xs = np.nonzero(shades(png) == 255)
    return list(zip(xs.tolist(), ys.tolist(), strict=True))


def test_a_frame_becomes_a_small_picture() -> None:
    """The longer side has the size asked for; the picture tells what it shows."""
    source = as_file(a_sky(600, 900), OBJECT="SS Cyg", EXPTIME=10.0)
    thumbnail = make_thumbnail(source, max_px=128)
    assert (thumbnail.width, thumbnail.height) == (128, 85)
    assert shades(thumbnail.png).shape == (85, 128)
    assert thumbnail.sentence == (
        "Frame of SS Cyg, 10 s, 900 × 600 pixels, as the camera stored it."
    )
    with Image.open(io.BytesIO(thumbnail.png)) as picture:
        assert picture.info["Description"] == thumbnail.sentence


def test_a_small_frame_keeps_its_size() -> None:
    """Nothing is blown up."""
    thumbnail = make_thumbnail(as_file(a_sky(40, 50)))
    assert (thumbnail.width, thumbnail.height) == (50, 40)


def test_the_sky_is_dark_and_stars_are_white() -> None:
    """Also under moonlight, which makes one side of the sky much brighter."""
    moonlight = np.linspace(0.0, 2_000.0, 300, dtype=np.float32)
    for light in (0.0, moonlight):
        picture = shades(make_thumbnail(as_file(a_sky(stars=((100, 100),)) + light)).png)
        assert 5 < np.median(picture[:, :40]) < 60
        assert 5 < np.median(picture[:, -40:]) < 60
        assert picture.max() == 255


def a_solution(angle_deg: float, *, mirrored: bool = False, **cards: Any) -> dict[str, Any]:
    """Return a header's plate solution with 3.6″ pixels, by how the camera was turned."""
    angle = np.radians(angle_deg)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.diag([1.0 if mirrored else -1.0, 1.0]) @ rotation * 1e-3
    solution = {f"CD{i + 1}_{j + 1}": matrix[i, j] for i in range(2) for j in range(2)}
    solution |= {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 40.0}
    return solution | {"CRPIX1": 101.0, "CRPIX2": 81.0} | cards


def star_at(thumbnail: Thumbnail) -> Any:
    """Return where the one star of a picture is, right of and below its middle, pixels."""
    middle = (np.array((thumbnail.width, thumbnail.height)) - 1) / 2
    return np.mean(brightest(thumbnail.png), axis=0) - middle


def shown_towards(north_deg: float, east_deg: float, cards: dict[str, Any]) -> Any:
    """Return where a star off the middle of the sky in a frame is in the frame's picture."""
    wcs = WCS(fits.Header(cards), naxis=2)
    ra, dec = wcs.all_pix2world([[99.5, 79.5]], 0)[0]
    place = [[ra + east_deg / np.cos(np.radians(dec)), dec + north_deg]]
    x, y = np.round(wcs.all_world2pix(place, 0)[0]).astype(int)
    sky = a_sky(160, 200, stars=((int(x), int(y)),))
    thumbnail = make_thumbnail(as_file(sky, **cards))
    assert thumbnail.sentence.endswith("200 × 160 pixels, North up.")
    return star_at(thumbnail)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle_deg", [0, 30, 44.9, 75, 90.2, 135.5, 180, 210, 270, 359])
def test_north_is_up_and_east_left(angle_deg: float, mirrored: bool) -> None:
    """Whichever way the camera was turned, and whether or not a mirror was in the way."""
    cards = a_solution(angle_deg, mirrored=mirrored)
    assert shown_towards(0.06, 0.0, cards) == pytest.approx((0, -60), abs=1.5)
    assert shown_towards(0.0, 0.06, cards) == pytest.approx((-60, 0), abs=1.5)


@pytest.mark.parametrize(
    "cards",
    [
        {"CRVAL2": 88.5},
        {"CRVAL2": -89.0},
        {"CRVAL2": 70.0, "CRPIX1": 3_000.0, "CRPIX2": -2_000.0},
        {"LONPOLE": 30.0},
    ],
)
def test_north_is_where_the_frame_is(cards: dict[str, Any]) -> None:
    """Near a pole, far from the reference pixel, and with a native pole elsewhere."""
    solution = a_solution(77.0, **cards)
    assert shown_towards(0.06, 0.0, solution) == pytest.approx((0, -60), abs=2)
    assert shown_towards(0.0, 0.06, solution) == pytest.approx((-60, 0), abs=2)


@pytest.mark.parametrize("angle_deg", [3, 45, 120])
def test_a_turned_picture_has_empty_corners(angle_deg: float) -> None:
    """All of the frame is in it, in its own scale, with nothing invented around it."""
    thumbnail = make_thumbnail(as_file(a_sky(160, 200), **a_solution(angle_deg)))
    seen = opacity(thumbnail.png)
    assert seen.sum() == pytest.approx(160 * 200, rel=0.005)
    assert {seen[0, 0], seen[0, -1], seen[-1, 0], seen[-1, -1]} == {0.0}
    assert seen[thumbnail.height // 2, thumbnail.width // 2] == 1.0
    assert (seen.max(axis=0) > 0).all()
    assert (seen.max(axis=1) > 0).all()


@pytest.mark.parametrize("angle_deg", [0, 90, 180.1, 270])
def test_a_turn_by_quarters_changes_no_pixel(angle_deg: float) -> None:
    """Nor does one that nobody would see: the shades are those of the frame as it is stored."""
    sky = a_sky(160, 200)
    turned = make_thumbnail(as_file(sky, **a_solution(angle_deg)))
    stored = make_thumbnail(as_file(sky))
    assert np.array_equal(np.sort(shades(turned.png), None), np.sort(shades(stored.png), None))


@pytest.mark.parametrize("angle_deg", range(0, 180, 20))
def test_a_turned_picture_has_the_size_asked_for(angle_deg: float) -> None:
    """Its longer side, at any angle, for frames that are wide or high; whole bins cost a little."""
    for shape in ((600, 900), (900, 600)):
        thumbnail = make_thumbnail(as_file(a_sky(*shape), **a_solution(angle_deg)), max_px=128)
        assert 120 <= max(thumbnail.width, thumbnail.height) <= 128


@pytest.mark.parametrize(
    "cards",
    [
        pytest.param({"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}, id="galactic"),
        pytest.param({"CD1_1": 1e-3, "CD1_2": 1e-3, "CD2_1": 1e-3, "CD2_2": 1.1e-3}, id="skewed"),
        pytest.param({"CD1_1": float("1e300"), "CD2_2": 1e-300}, id="beyond numbers"),
    ],
)
def test_a_picture_is_turned_by_a_good_solution_only(cards: dict[str, Any]) -> None:
    """One of another North, or in which North and East nearly are the same, is none."""
    sentence = make_thumbnail(as_file(a_sky(), **a_solution(30, **cards))).sentence
    assert "as the camera stored it" in sentence
    assert not is_north_up(sentence)


def test_a_sentence_tells_where_north_is() -> None:
    """By its end; a name of the target does not count."""
    assert is_north_up(make_thumbnail(as_file(a_sky(), **a_solution(30))).sentence)
    assert not is_north_up(make_thumbnail(as_file(a_sky(), OBJECT="Star, North up.")).sentence)


@pytest.mark.parametrize(("order", "from_top"), [("TOP-DOWN", 20), ("BOTTOM-UP", 179), (None, 179)])
def test_the_order_of_rows_is_heeded(order: str | None, from_top: int) -> None:
    """The first row is the lowest, as FITS has it, unless the camera says otherwise."""
    cards = {} if order is None else {"ROWORDER": order}
    white = brightest(make_thumbnail(as_file(a_sky(stars=((50, 20),)), **cards)).png)
    assert np.mean(white, axis=0) == pytest.approx((50, from_top), abs=1)


def test_a_mosaic_is_summed_over_its_cells() -> None:
    """The colours of a Bayer matrix leave no pattern."""
    mosaic = a_sky(stars=((100, 100),))
    mosaic[::2, 1::2] *= 3.0
    thumbnail = make_thumbnail(as_file(mosaic, BAYERPAT="GRBG"))
    assert (thumbnail.width, thumbnail.height) == (150, 100)
    assert "300 × 200 pixels" in thumbnail.sentence
    assert np.std(shades(thumbnail.png)[60:, 90:]) < 20


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 60, 80), "80 × 60 pixels, as"),
        ((60, 80, 3), "80 × 60 pixels, as"),
        ((1, 60, 80), "80 × 60 pixels, as"),
        ((12, 60, 80), "80 × 60 pixels, first of 12 planes, as"),
        ((2, 5, 60, 80), "80 × 60 pixels, first of 10 planes, as"),
        ((1, 1, 60, 80), "80 × 60 pixels, as"),
    ],
)
def test_cubes_are_shown(shape: tuple[int, ...], said: str) -> None:
    """Colour planes together; of other planes the first, which is said."""
    cube = np.random.default_rng(1).normal(SKY, 10.0, shape).astype(np.float32)
    thumbnail = make_thumbnail(as_file(cube))
    assert (thumbnail.width, thumbnail.height) == (80, 60)
    assert said in thumbnail.sentence


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_every_type_of_pixel_is_shown(kind: str) -> None:
    """Also unsigned ones, which FITS writes with an offset (BZERO)."""
    stars = np.clip(a_sky(stars=((100, 100),)) - SKY + 50.0, 0, 250).astype(kind)
    assert np.mean(brightest(make_thumbnail(as_file(stars)).png), axis=0) == pytest.approx(
        (100, 99), abs=1
    )


def test_scaled_pixels_are_shown() -> None:
    """BSCALE and BZERO change the values, not the look."""
    stored = a_sky(stars=((100, 100),)).astype(np.int16)
    with fits.open(io.BytesIO(as_file(stored)), do_not_scale_image_data=True) as hdus:
        hdus[0].header.update(BSCALE=0.5, BZERO=77.0)
        scaled = io.BytesIO()
        hdus.writeto(scaled)
    pictures = [shades(make_thumbnail(s).png) for s in (scaled.getvalue(), as_file(stored))]
    assert np.allclose(*pictures, atol=1)


@pytest.mark.parametrize("algorithm", ["RICE_1", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1"])
def test_compressed_images_are_shown(algorithm: str) -> None:
    """As the plain image is."""
    data = a_sky(stars=((100, 100),)).astype(np.int16)
    compressed = as_file(data, lambda pixels: fits.CompImageHDU(pixels, compression_type=algorithm))
    assert make_thumbnail(compressed) == make_thumbnail(as_file(data))


def test_gzipped_files_are_shown(tmp_path: Path) -> None:
    """Whatever they are called."""
    plain = as_file(a_sky(stars=((100, 100),)))
    path = tmp_path / "0123abcd"
    path.write_bytes(gzip.compress(plain))
    assert make_thumbnail(path) == make_thumbnail(plain) == make_thumbnail(gzip.compress(plain))


def test_gaps_are_filled_with_sky() -> None:
    """What is no number takes no part."""
    sky = a_sky(stars=((100, 100),))
    sky[10:60, 10:60] = np.nan
    sky[80, 80], sky[81, 81], sky[150, 200] = np.inf, -np.inf, 3e38
    picture = shades(make_thumbnail(as_file(sky)).png)
    assert picture.max() == 255
    assert picture[150:180, 20:50].max() < 80


def test_the_image_is_found_behind_tables() -> None:
    """The first image that can be shown is taken."""
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.arange(5.0))])
    line, image = fits.ImageHDU(np.arange(100.0)), fits.ImageHDU(a_sky())
    file = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table, line, image]).writeto(file)
    assert "300 × 200 pixels" in make_thumbnail(file.getvalue()).sentence


@pytest.mark.parametrize(
    ("cards", "said"),
    [
        ({}, "Frame, 300 × 200"),
        ({"OBJECT": "   ", "EXPTIME": -1}, "Frame, 300 × 200"),
        ({"OBJECT": 7, "EXPOSURE": 0.0125}, "Frame of 7, 0.0125 s, 300 × 200"),
        ({"OBJECT": "x" * 68, "EXPTIME": "long"}, f"Frame of {'x' * 60}, 300 × 200"),
        ({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": 0.0}, "as the camera stored it"),
        ({"CTYPE1": "RA---XXX", "CTYPE2": "GLAT-TAN"}, "as the camera stored it"),
    ],
)
def test_a_strange_header_does_no_harm(cards: dict[str, Any], said: str) -> None:
    """What cannot be told is left out."""
    assert said in make_thumbnail(as_file(a_sky(), **cards)).sentence


def test_a_card_that_cannot_be_parsed_does_no_harm() -> None:
    """Its value counts as missing."""
    broken = as_file(a_sky(), OBJECT="SS Cyg", EXPTIME=10.0)
    broken = broken.replace(b"EXPTIME =                 10.0", b"EXPTIME =  'no end 10.0       ")
    assert make_thumbnail(broken).sentence.startswith("Frame of SS Cyg, 300 × 200")


WHOLE = as_file(a_sky())
PACKED = as_file(a_sky().astype(np.int16), fits.CompImageHDU)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "no FITS file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(5_000), "no FITS file"),
        (b"\x1f\x8b" + bytes(100), "no FITS file"),
        (b"SIMPLE  =", "no FITS file"),
        (as_file(None), "no image"),
        (as_file(np.zeros((0, 50))), "no image|array of"),
        (as_file(np.arange(1_000.0)), "array of 1,000 instead"),
        (as_file(np.ones((4, 1_000))), "array of 1,000 × 4 instead"),
        (as_file(np.zeros((1,) * 7 + (20, 20))), "9 axes"),
        (as_file(np.full((50, 50), 7.0)), "Every pixel of the image is 7"),
        (as_file(np.full((50, 50), np.nan)), "no numbers"),
        (as_file(np.full((50, 50), np.inf)), "no numbers"),
        (WHOLE[:200_000], "end is missing"),
        (WHOLE[:2_880], "end is missing"),
        (PACKED[:20_000], "damaged"),
        (gzip.compress(WHOLE, mtime=0)[:100_000], "damaged"),
        (announce(20_000, 20_000), "20,000 × 20,000 pixels, more than the 200,000,000"),
        (announce(10**12, 10**12, bitpix=-64), "more than the 200,000,000|too large"),
        (announce(100, 10**15), "more than the 200,000,000"),
        (announce(-100, 100), "damaged|array of"),
        (announce(100, 100, 10**9), "end is missing"),
        (announce(*(2,) * 999), "axes|damaged"),
        (announce(100, 100, bitpix=17), "damaged|end is missing"),
        (gzip.compress(announce(20_000, 20_000), mtime=0), "more than the 200,000,000"),
    ],
)
def test_what_cannot_be_shown_is_refused(source: bytes, reason: str) -> None:
    """One sentence says why, before anything is reserved for what a header announces."""
    with pytest.raises(InvalidInput, match=reason) as raised:
        make_thumbnail(source)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_flipped_bytes_never_crash() -> None:
    """A damaged file is shown or refused."""
    rng = np.random.default_rng(7)
    for whole in (WHOLE[:60_000], PACKED):
        for _ in range(40):
            damaged = bytearray(whole)
            for at in rng.integers(0, min(len(whole), 9_000), 3):
                damaged[at] = rng.integers(256)
            try:
                assert make_thumbnail(bytes(damaged), max_px=64).png
            except InvalidInput as refusal:
                assert str(refusal)  # noqa: PT017 - either outcome is right


def real(folder: str, pattern: str) -> Callable[[], Path]:
    """Return a finder of a real frame; the test is skipped where there is none."""

    def find() -> Path:
        frame = next(iter(sorted((FRAMES / folder).glob(pattern))), None)
        if frame is None:
            pytest.skip("needs the real frames beside the project")
        return frame

    return find


@pytest.mark.parametrize(
    ("find", "said", "size"),
    [
        (lambda: T_SEX, "Frame of T Sex, 5 s, 800 × 700 pixels, as the", (512, 448)),
        pytest.param(
            real("seestar", "*NGC*"),
            "Frame of NGC 7023, 10 s, 1080 × 1920 pixels, North up.",
            (512, 450),
            marks=pytest.mark.frames,
        ),
        pytest.param(
            real("hat-p-32", "*"),
            "Frame of HATP-32, 60 s, 650 × 500 pixels, as the camera stored it.",
            (512, 394),
            marks=pytest.mark.frames,
        ),
    ],
)
def test_real_frames_are_shown(find: Callable[[], Path], said: str, size: tuple[int, int]) -> None:
    """A dark sky, some white stars."""
    thumbnail = make_thumbnail(find())
    assert said in thumbnail.sentence
    assert (thumbnail.width, thumbnail.height) == size
    picture = shades(thumbnail.png)[opacity(thumbnail.png) == 1.0]
    assert 5 < np.median(picture) < 60
    assert 0 < np.mean(picture == 255) < 0.02
