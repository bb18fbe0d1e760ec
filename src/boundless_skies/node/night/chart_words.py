"""A finding chart in words, for those who do not see it."""

from collections.abc import Sequence

from boundless_skies.node.night.chart_subject import ChartStar, ChartSubject
from boundless_skies.node.night.sky_plane import direction


def describe_chart(subject: ChartSubject, side_arcmin: float) -> str:
    """Tell a finding chart in words, for those who do not see it.

    Parameters
    ----------
    subject : ChartSubject
        What it shows.
    side_arcmin : float
        How much of the sky it shows, from edge to edge.

    Returns
    -------
    str
        Some sentences on one line.
    """
    checks = [star for star in subject.stars if star.is_check]
    sentences = (
        f"Finding chart of {subject.name}, drawn from {subject.source}:",
        f"dark stars on white, {side_arcmin:.0f} arcmin on a side; north is up, east is left.",
        f"The target, of magnitude {subject.magnitude:.2f}, stands in a red circle with two lines",
        f"that lead to it. {_measured(subject)}",
        _compared(subject, [star for star in subject.stars if not star.is_check]),
        *(f"The check star, in green, is {_told(subject, star)}." for star in checks),
    )
    return " ".join(sentences)


def _measured(subject: ChartSubject) -> str:
    arcsec, aperture = 60 * subject.plane.arcmin_px, subject.aperture
    radii = (aperture.radius_px, aperture.inner_px, aperture.outer_px)
    radius, inner, outer = (f"{radius_px * arcsec:.0f}" for radius_px in radii)
    return (
        f"An enlarged part shows its aperture, {radius} arcsec in radius, and the ring of sky "
        f"from {inner} to {outer} arcsec."
    )


def _compared(subject: ChartSubject, stars: Sequence[ChartStar]) -> str:
    if not stars:
        return "No comparison stars are marked."
    nearest = min(stars, key=subject.distance_arcmin)
    faintest, brightest = (f"{pick(star.magnitude for star in stars):.1f}" for pick in (max, min))
    return (
        f"Blue circles mark {len(stars)} comparison stars of magnitude {brightest} to {faintest}, "
        "labelled with their magnitudes in tenths; the nearest is "
        f"{_told(subject, nearest)}."
    )


def _told(subject: ChartSubject, star: ChartStar) -> str:
    name = f"{star.name}, " if star.name else ""
    away = f"{subject.distance_arcmin(star):.1f} arcmin {direction(*subject.place_of(star))}"
    return f"{name}magnitude {star.magnitude:.1f}, {away} of the target"
