"""A whole simulated telescope."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

import numpy as np

from boundless_skies.node.catalogue import Catalogue
from boundless_skies.node.clock import Clock
from boundless_skies.node.devices.capabilities import Telescope
from boundless_skies.node.devices.errors import DeviceRefused
from boundless_skies.simulation.camera import CameraTraits, SimulatedCamera, VariableStar
from boundless_skies.simulation.focuser import FocuserTraits, SimulatedFocuser
from boundless_skies.simulation.mount import MountTraits, SimulatedMount
from boundless_skies.simulation.script import Script
from boundless_skies.simulation.weather import Climate, SimulatedWeather
from boundless_skies.sky import Site

_TURN_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a telescope is like.

    Attributes
    ----------
    mount : MountTraits
        Of the mount.
    camera : CameraTraits
        Of the camera.
    focuser : FocuserTraits
        Of the focuser.
    climate : Climate
        Of the place where it stands.
    filters : tuple of str
        In its wheel; none for a telescope without one.
    """

    mount: MountTraits = field(default_factory=MountTraits)
    camera: CameraTraits = field(default_factory=CameraTraits)
    focuser: FocuserTraits = field(default_factory=FocuserTraits)
    climate: Climate = field(default_factory=Climate)
    filters: tuple[str, ...] = ("CV",)


class SimulatedFilterWheel:
    """A filter wheel; see :class:`~boundless_skies.node.devices.capabilities.CanFilter`.

    Parameters
    ----------
    clock : Clock
        To wait with.
    names : tuple of str
        The filters, the first of them in the light.
    """

    def __init__(self, clock: Clock, names: tuple[str, ...]) -> None:
        self._clock = clock
        self._names = names
        self._place: int | None = 0

    def filter_names(self) -> tuple[str, ...]:
        """Return the filters in the wheel, in their order."""
        return self._names

    def filter_name(self) -> str | None:
        """Return the filter in the light; None while the wheel turns."""
        return None if self._place is None else self._names[self._place]

    def move_filter(self, name: str, stop: Event) -> None:
        """Bring a filter into the light, and return once it is there."""
        wanted = next(
            (i for i, known in enumerate(self._names) if known.lower() == name.lower()), None
        )
        if wanted is None:
            raise DeviceRefused(
                f"The filter wheel has no filter {name!r}; it has {', '.join(self._names)}.",
                device="filter wheel",
            )
        if wanted != self._place:
            self._place = None
            self._clock.sleep(_TURN_S, stop)
            self._place = wanted


@dataclass(frozen=True, kw_only=True)
class SimulatedTelescope(Telescope):
    """A telescope whose parts can be asked for the truth, too.

    Attributes
    ----------
    mount : SimulatedMount
        Points it.
    camera : SimulatedCamera
        Takes the frames.
    focuser : SimulatedFocuser
        Makes them sharp.
    weather : SimulatedWeather
        Watches the sky.
    """

    mount: SimulatedMount
    camera: SimulatedCamera
    focuser: SimulatedFocuser
    weather: SimulatedWeather


def simulated_telescope(
    clock: Clock,
    site: Site,
    *,
    seed: int | Sequence[int],
    catalogue: Catalogue | None = None,
    stars: Sequence[VariableStar] = (),
    script: Script | None = None,
    traits: Traits | None = None,
    parked: bool = True,
    name: str = "Simulated telescope",
) -> SimulatedTelescope:
    """Build a telescope.

    Equal arguments and equal calls at equal instants give equal frames.

    Parameters
    ----------
    clock : Clock
        What all its parts wait with.
    site : Site
        Where it stands.
    seed : int or sequence of int
        Of its errors and its noise.
    catalogue : Catalogue, optional
        The sky; the bundled one by default.
    stars : sequence of VariableStar, optional
        What varies in it.
    script : Script, optional
        What befalls it; nothing by default.
    traits : Traits, optional
        What it is like.
    parked : bool, optional
        Whether the mount rests at first.
    name : str, optional
        What its owner calls it.

    Returns
    -------
    SimulatedTelescope
        Ready to use.
    """
    traits, script = traits or Traits(), script or Script()
    errors, noise = np.random.default_rng(seed).spawn(2)
    mount = SimulatedMount(clock, site, errors, traits=traits.mount, script=script, parked=parked)
    focuser = SimulatedFocuser(clock, traits=traits.focuser, script=script)
    wheel = SimulatedFilterWheel(clock, traits.filters) if traits.filters else None
    camera = SimulatedCamera(
        clock,
        site,
        noise,
        mount=mount,
        focuser=focuser,
        catalogue=catalogue or Catalogue.load(),
        stars=stars,
        traits=traits.camera,
        script=script,
        filter_name=wheel.filter_name if wheel else lambda: None,
    )
    return SimulatedTelescope(
        name=name,
        mount=mount,
        camera=camera,
        focuser=focuser,
        weather=SimulatedWeather(clock, script=script, climate=traits.climate),
        filters=wheel,
        focal_length_mm=traits.camera.optics.focal_length_mm,
    )
