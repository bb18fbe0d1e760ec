"""Bringing a target into the middle: where the telescope really points, by the stars."""

import logging
from pathlib import Path
from threading import Event

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.devices.capabilities import Exposure, Telescope
from boundless_skies.node.devices.errors import DeviceRefused
from boundless_skies.node.errors import FrameError
from boundless_skies.node.fits.frame import read_frame
from boundless_skies.node.fits.writing import FrameFacts, FrameNotWritten, write_frame
from boundless_skies.node.photometry.detection import detect
from boundless_skies.node.schedule.work import Work
from boundless_skies.node.solving.field import Solver
from boundless_skies.node.solving.pointing import solve_field
from boundless_skies.node.solving.verification import centre_deg
from boundless_skies.sky import separation_deg

log = logging.getLogger(__name__)

TRIES = 3
_ARCMIN_PER_DEG = 60.0


class Centring:
    """Solves a short exposure and corrects the mount until the target stands in the middle.

    Parameters
    ----------
    telescope : Telescope
        What is pointed, and exposes.
    catalogue : Catalogue
        The stars to look for.
    solver : Solver
        Finds them.
    folder : Path
        Where the exposure is kept while it is looked at; the last one stays.
    exposure_s : float
        Its length, seconds.
    tolerance_deg : float
        How far off the middle is near enough.
    """

    def __init__(
        self,
        *,
        telescope: Telescope,
        catalogue: Catalogue,
        solver: Solver,
        folder: Path,
        exposure_s: float,
        tolerance_deg: float,
    ) -> None:
        self._telescope = telescope
        self._catalogue = catalogue
        self._solver = solver
        self._path = folder / "centring.fits"
        self._exposure_s = exposure_s
        self._tolerance_deg = tolerance_deg

    def centre(self, work: Work, stop: Event) -> tuple[float, float] | None:
        """Bring a target into the middle, as far as the stars tell where that is.

        Parameters
        ----------
        work : Work
            What is to be observed; the mount points near it.
        stop : Event
            Ends it.

        Returns
        -------
        tuple of float or None
            Where the telescope points, J2000, degrees; None where the stars did not tell: the
            target is then observed where the mount believes it to be.

        Raises
        ------
        DeviceRefused
            If the mount says no.
        DeviceUnreachable
            If a device does not answer.
        Stopped
            If `stop` was set.
        """
        for tried in range(1, TRIES + 1):
            where = self._where(work, stop)
            if where is None:
                return None
            off_deg = float(separation_deg(*where, work.ra_deg, work.dec_deg))
            log.info("%s stands %.1f′ off the middle.", work.target, off_deg * _ARCMIN_PER_DEG)
            if off_deg <= self._tolerance_deg or tried == TRIES:
                return where
            if not self._correct(work, where, stop):
                return where
        return None

    def _where(self, work: Work, stop: Event) -> tuple[float, float] | None:
        try:
            exposure = self._telescope.camera.expose(self._exposure_s, binning=1, stop=stop)
            return self._solved(exposure, work)
        except (DeviceRefused, FrameError, FrameNotWritten) as error:
            log.warning("%s could not be centred: %s", work.target, error)
            return None

    def _solved(self, exposure: Exposure, work: Work) -> tuple[float, float]:
        ra_deg, dec_deg = work.ra_deg, work.dec_deg
        facts = FrameFacts(
            object_name=work.target,
            ra_deg=ra_deg,
            dec_deg=dec_deg,
            focal_length_mm=self._telescope.focal_length_mm,
        )
        write_frame(self._path, exposure, facts)
        frame = read_frame(self._path)
        solution = solve_field(
            detect(frame).field,
            self._catalogue,
            self._solver,
            positions_deg=[(ra_deg, dec_deg)],
            scales_arcsec_px=[s * frame.cell_px for s in frame.facts.scales_arcsec_px],
        )
        height, width = frame.shape
        return centre_deg(solution.wcs, width, height)

    def _correct(self, work: Work, where: tuple[float, float], stop: Event) -> bool:
        mount = self._telescope.mount
        try:
            mount.sync(*where)
        except DeviceRefused as error:
            log.warning("The mount cannot be corrected: %s", error)
            return False
        mount.slew(work.ra_deg, work.dec_deg, stop)
        return True
