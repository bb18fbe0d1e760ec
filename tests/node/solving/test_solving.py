"""Plate solving: right ones are found, wrong ones are never taken."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import seiza
from astropy.wcs import WCS
from tests.support.scenes import DEC_DEG, MIDDLE, MORE_FRAMES, RA_DEG, REAL_FRAME

from boundless_skies.demo.rendering import Camera, camera_wcs, render_frame
from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.errors import NotSolved
from boundless_skies.node.fits.frame import Frame, read_frame
from boundless_skies.node.photometry.detection import detect
from boundless_skies.node.solving.field import Hint, Solution, StarField
from boundless_skies.node.solving.pointing import UNKNOWN_SCALES_ARCSEC_PX, solve_field
from boundless_skies.node.solving.seiza_solver import SeizaSolver
from boundless_skies.node.solving.verification import centre_deg, scale_arcsec_px, verify

CATALOGUE = Catalogue.load()
CAMERA = Camera(height_px=500, width_px=650, scale_arcsec_px=5.2, rotation_deg=130.0)


class Deaf:
    """A solver that never finds anything, and counts how often it was asked."""

    def __init__(self) -> None:
        self.hints: list[Hint] = []

    def solve(self, field: StarField, hint: Hint) -> WCS | None:
        """Find nothing."""
        del field
        self.hints.append(hint)
        return None


class Stubborn(Deaf):
    """A solver that always says the same."""

    def __init__(self, wcs: WCS) -> None:
        super().__init__()
        self.wcs = wcs

    def solve(self, field: StarField, hint: Hint) -> WCS | None:
        """Say it again."""
        super().solve(field, hint)
        return self.wcs


def rendered_field(tmp_path: Path, camera: Camera = CAMERA, seed: int = 5) -> StarField:
    """Detect the stars of a rendered frame."""
    from astropy.io import fits  # noqa: PLC0415

    data, header = render_frame(
        CATALOGUE, RA_DEG, DEC_DEG, rng=np.random.default_rng(seed), mid_exposure_utc=MIDDLE,
        camera=camera,
    )  # fmt: skip
    fits.PrimaryHDU(data, header).writeto(tmp_path / "field.fits", overwrite=True)
    return field_of(read_frame(tmp_path / "field.fits"))


def field_of(frame: Frame) -> StarField:
    """Detect the stars of a frame."""
    return detect(frame).field


def random_field(seed: int, count: int) -> StarField:
    """Scatter stars that belong to no sky."""
    rng = np.random.default_rng(seed)
    flux = np.sort(rng.pareto(1.0, count))[::-1]
    return StarField(rng.uniform(0, 650, count), rng.uniform(0, 500, count), flux, 650, 500)


def solve(field: StarField, **known: object) -> Solution:
    """Solve with seiza on the bundled catalogue, with time enough for a busy machine."""
    return solve_field(field, CATALOGUE, SeizaSolver(CATALOGUE, 60.0), **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rotation_deg", "ra_off_deg", "dec_off_deg", "scale_factor"),
    [(0.0, 0.0, 0.0, 1.0), (77.0, 0.8, 0.7, 1.1), (200.0, -1.0, -0.8, 0.88)],
)
def test_a_rendered_field_is_found(
    tmp_path: Path, rotation_deg: float, ra_off_deg: float, dec_off_deg: float, scale_factor: float
) -> None:
    """Turned any way, pointed wrong by degrees, the scale wrong by a tenth: good to 0.2 px."""
    camera = Camera(height_px=500, width_px=650, scale_arcsec_px=5.2, rotation_deg=rotation_deg)
    solution = solve(
        rendered_field(tmp_path, camera),
        positions_deg=[(RA_DEG + ra_off_deg, DEC_DEG + dec_off_deg)],
        scales_arcsec_px=[5.2 * scale_factor],
    )
    truth = camera_wcs(camera, RA_DEG, DEC_DEG)
    for x, y in [(0, 0), (649, 0), (0, 499), (325, 250)]:
        found = solution.wcs.all_world2pix(*truth.all_pix2world(x, y, 0), 0)
        assert math.dist(found, (x, y)) < 0.2
    assert solution.matched >= 35
    assert solution.rms_px < 0.3


def test_a_field_of_unknown_scale_is_found(tmp_path: Path) -> None:
    """The header need not tell focal length and pixels."""
    solution = solve(rendered_field(tmp_path), positions_deg=[(RA_DEG + 0.5, DEC_DEG)])
    assert scale_arcsec_px(solution.wcs) == pytest.approx(5.2, rel=1e-3)


def test_unknown_scales_leave_no_gap() -> None:
    """Each is good for 20 % to both sides; together from 0.5″ to 13″."""
    scales = sorted(UNKNOWN_SCALES_ARCSEC_PX)
    assert scales[0] < 0.5
    assert scales[-1] > 13.0
    assert all(low * 1.2 > high * 0.8 for low, high in itertools.pairwise(scales))


def test_a_known_solution_that_holds_needs_no_solver(tmp_path: Path) -> None:
    """A header's own, or that of the frame before: refined by a pixel or two on the way."""
    solver = Deaf()
    drifted = camera_wcs(CAMERA, RA_DEG, DEC_DEG, (7.0, -5.0))
    solution = solve_field(rendered_field(tmp_path), CATALOGUE, solver, known=[drifted])
    assert centre_deg(solution.wcs, 650, 500) == pytest.approx((RA_DEG, DEC_DEG), abs=1.0 / 3600)
    assert not solver.hints


def test_a_known_solution_that_does_not_hold_is_passed_over(tmp_path: Path) -> None:
    """A header may carry the solution of another frame."""
    stale = camera_wcs(CAMERA, RA_DEG + 2.0, DEC_DEG)
    solution = solve(
        rendered_field(tmp_path), known=[stale], positions_deg=[(RA_DEG, DEC_DEG)],
        scales_arcsec_px=[5.2],
    )  # fmt: skip
    assert centre_deg(solution.wcs, 650, 500) == pytest.approx((RA_DEG, DEC_DEG), abs=1.0 / 3600)


@pytest.mark.parametrize(
    "change",
    [
        {"ra_deg": RA_DEG + 0.05},
        {"dec_deg": DEC_DEG - 10.0},
        {"camera": Camera(height_px=500, width_px=650, scale_arcsec_px=5.2, rotation_deg=134.0)},
        {"camera": Camera(height_px=500, width_px=650, scale_arcsec_px=5.4, rotation_deg=130.0)},
    ],
)
def test_a_wrong_solution_is_never_taken(tmp_path: Path, change: dict[str, object]) -> None:
    """However sure the solver is: 3′ off, 10° off, turned by 4°, 4 % too large."""
    given = {"camera": CAMERA, "ra_deg": RA_DEG, "dec_deg": DEC_DEG} | change
    wrong = camera_wcs(given["camera"], given["ra_deg"], given["dec_deg"])  # type: ignore[arg-type]
    field = rendered_field(tmp_path)
    assert verify(wrong, field, CATALOGUE) is None
    with pytest.raises(NotSolved, match="No solution from"):
        solve_field(
            field, CATALOGUE, Stubborn(wrong), positions_deg=[(RA_DEG, DEC_DEG)],
            scales_arcsec_px=[5.2],
        )  # fmt: skip


@pytest.mark.parametrize("count", [6, 30, 300])
def test_stars_of_no_sky_are_not_solved(count: int) -> None:
    """Noise, reflections, another planet."""
    solver = SeizaSolver(CATALOGUE, time_limit_s=1.0)
    hints = {"positions_deg": [(RA_DEG, DEC_DEG)], "scales_arcsec_px": [5.2]}
    with pytest.raises(NotSolved):
        solve_field(random_field(count, count), CATALOGUE, solver, **hints)


def test_a_busy_computer_costs_no_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try whose time ran out before it had the processor is made again, with more."""
    limits: list[float] = []
    real = seiza.solve

    def starved(*args: object, time_limit: float, **values: object) -> object:
        limits.append(time_limit)
        if len(limits) < 3:
            raise TimeoutError
        return real(*args, time_limit=time_limit, **values)

    monkeypatch.setattr(seiza, "solve", starved)
    solver = SeizaSolver(CATALOGUE, time_limit_s=6.0)
    wcs = solver.solve(rendered_field(tmp_path), Hint(RA_DEG, DEC_DEG, 5.2))
    assert wcs is not None
    assert wcs.wcs.crval == pytest.approx((RA_DEG, DEC_DEG), abs=0.5)
    assert limits == [6.0, 12.0, 18.0]


def test_clouds_are_told_without_trying() -> None:
    """Fewer than five stars solve nothing."""
    solver = Deaf()
    with pytest.raises(NotSolved, match="Only 4 stars are seen, 5 are needed"):
        solve_field(random_field(0, 4), CATALOGUE, solver, positions_deg=[(1.0, 2.0)])
    assert not solver.hints


def test_without_a_position_the_way_out_is_told() -> None:
    """The solver is no blind one."""
    with pytest.raises(NotSolved, match="name the target's position with --ra and --dec"):
        solve_field(random_field(0, 40), CATALOGUE, Deaf())


def test_near_places_are_tried_before_far_ones() -> None:
    """All positions within 2° first, then all within 4°."""
    solver = Deaf()
    with pytest.raises(NotSolved, match=r"near RA 10.000°, Dec \+20.000° at 5.20″/px"):
        solve_field(
            random_field(0, 40), CATALOGUE, solver,
            positions_deg=[(10.0, 20.0), (30.0, 40.0)], scales_arcsec_px=[5.2],
        )  # fmt: skip
    tried = [(hint.ra_deg, hint.radius_deg) for hint in solver.hints]
    assert tried == [(10.0, 2.0), (30.0, 2.0), (10.0, 4.0), (30.0, 4.0)]


def test_the_committed_real_frame_is_solved() -> None:
    """40 of the 40 brightest catalogue stars are where they should be."""
    frame = read_frame(REAL_FRAME)
    solution = solve(
        field_of(frame),
        positions_deg=[frame.facts.position_deg],
        scales_arcsec_px=frame.facts.scales_arcsec_px,
    )
    assert solution.matched >= 38
    assert solution.rms_px < 0.6
    assert scale_arcsec_px(solution.wcs) == pytest.approx(7.925, abs=0.02)


@pytest.mark.frames
@pytest.mark.skipif(not MORE_FRAMES.exists(), reason="the frames beside the project are absent")
@pytest.mark.parametrize(
    "name",
    ["Light_M_94_10.0s_IRCUT_20250326-212046", "Light_M_94_10.0s_IRCUT_20250409-225435"],
)
def test_raw_seestar_frames_are_solved(name: str) -> None:
    """The dozen stars of a field near the galactic pole are enough."""
    frame = read_frame(MORE_FRAMES / "seestar" / f"{name}.fit.fz")
    solution = solve(
        field_of(frame),
        positions_deg=[frame.facts.position_deg],
        scales_arcsec_px=[scale * frame.cell_px for scale in frame.facts.scales_arcsec_px],
    )
    assert solution.matched >= 0.8 * solution.expected
    assert scale_arcsec_px(solution.wcs) == pytest.approx(4.75, abs=0.02)


@pytest.mark.frames
@pytest.mark.skipif(not MORE_FRAMES.exists(), reason="the frames beside the project are absent")
def test_the_headers_own_solution_is_used_where_it_holds() -> None:
    """One Seestar frame carries a WCS, for the unfolded image."""
    frame = read_frame(
        MORE_FRAMES / "seestar" / "Light_NGC_7023_10.0s_IRCUT_20240730-224436.fit.fz"
    )
    assert frame.wcs is not None
    solver = Deaf()
    solution = solve_field(field_of(frame), CATALOGUE, solver, known=[frame.wcs])
    assert solution.matched >= 35
    assert not solver.hints
