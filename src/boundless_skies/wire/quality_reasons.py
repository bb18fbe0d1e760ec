"""Why a measurement is less than good: one registry for nodes, clouds and documentation.

A measurement carries the reasons as a mask (``quality_bits``) and in words
(``quality_reasons``). ``python -m boundless_skies.wire.quality_reasons`` prints the table
of ``docs/photometry.md``.
"""

from dataclasses import dataclass

from boundless_skies.wire.messages import QualityFlag


@dataclass(frozen=True, kw_only=True)
class QualityReason:
    """One reason for less than good quality.

    Attributes
    ----------
    bit : int
        Its place in the mask, from 0; never given to another reason.
    name : str
        As it stands in the log, in tables and on pages.
    flag : QualityFlag
        The best that a measurement with it can be.
    meaning : str
        When it holds, with its limit.
    """

    bit: int
    name: str
    flag: QualityFlag
    meaning: str

    @property
    def mask(self) -> int:
        """The mask of this reason alone."""
        return 1 << self.bit


REASONS: tuple[QualityReason, ...] = (
    QualityReason(
        bit=0,
        name="saturated",
        flag=QualityFlag.POOR,
        meaning="the target's highest value is above 95 % of saturation",
    ),
    QualityReason(
        bit=1,
        name="near saturation",
        flag=QualityFlag.ACCEPTABLE,
        meaning="the target's highest value is above 80 % of saturation",
    ),
    QualityReason(
        bit=2,
        name="very low SNR",
        flag=QualityFlag.POOR,
        meaning="signal to noise below 10",
    ),
    QualityReason(
        bit=3,
        name="low SNR",
        flag=QualityFlag.ACCEPTABLE,
        meaning="signal to noise below 30",
    ),
    QualityReason(
        bit=4,
        name="few comparison stars",
        flag=QualityFlag.ACCEPTABLE,
        meaning="fewer than 5 comparison stars",
    ),
    QualityReason(
        bit=5,
        name="scattered zero point",
        flag=QualityFlag.ACCEPTABLE,
        meaning="comparison stars scatter by more than 0.3 mag around the catalogue",
    ),
    QualityReason(
        bit=6,
        name="badly trailed",
        flag=QualityFlag.POOR,
        meaning="stars more than 2.5 times as long as wide",
    ),
    QualityReason(
        bit=7,
        name="trailed",
        flag=QualityFlag.ACCEPTABLE,
        meaning="stars more than 1.6 times as long as wide",
    ),
    QualityReason(
        bit=8,
        name="very high airmass",
        flag=QualityFlag.POOR,
        meaning="airmass above 4",
    ),
    QualityReason(
        bit=9,
        name="high airmass",
        flag=QualityFlag.ACCEPTABLE,
        meaning="airmass above 2.5",
    ),
    QualityReason(
        bit=10,
        name="crowded",
        flag=QualityFlag.ACCEPTABLE,
        meaning="another catalogue star shines into the aperture",
    ),
    QualityReason(
        bit=11,
        name="at the edge",
        flag=QualityFlag.ACCEPTABLE,
        meaning="part of the sky's ring lies outside of the frame",
    ),
    QualityReason(
        bit=12,
        name="thick clouds",
        flag=QualityFlag.POOR,
        meaning="more than 1 mag less light than in the clear frames of the series",
    ),
    QualityReason(
        bit=13,
        name="clouds",
        flag=QualityFlag.ACCEPTABLE,
        meaning="more than 0.3 mag less light than in the clear frames of the series",
    ),
    QualityReason(
        bit=14,
        name="patchy clouds",
        flag=QualityFlag.ACCEPTABLE,
        meaning="of the comparison stars that should be well seen, more than a quarter are missing "
        "or off the zero point by more than 0.5 mag",
    ),
    QualityReason(
        bit=15,
        name="badly out of focus",
        flag=QualityFlag.POOR,
        meaning="stars more than 2.5 times as wide as in the sharp frames of the series",
    ),
    QualityReason(
        bit=16,
        name="out of focus",
        flag=QualityFlag.ACCEPTABLE,
        meaning="stars like discs or rings (their middle less than 1.5 times as bright as at the "
        "radius of half their light), or more than 1.5 times as wide as in the sharp frames of "
        "the series, or wider than 20″ and 5 pixels",
    ),
    QualityReason(
        bit=17,
        name="badly blended",
        flag=QualityFlag.POOR,
        meaning="more than 20 % of the light in the aperture is another detected star's",
    ),
    QualityReason(
        bit=18,
        name="blended",
        flag=QualityFlag.ACCEPTABLE,
        meaning="more than 2 % of the light in the aperture is another detected star's",
    ),
)
"""All reasons, in the order of their bits."""


def reasons_of(bits: int) -> tuple[QualityReason, ...]:
    """Return the reasons that a mask stands for.

    Parameters
    ----------
    bits : int
        A mask of 0 or more.

    Returns
    -------
    tuple of QualityReason
        In the order of their bits; bits of later versions are passed over.
    """
    return tuple(reason for reason in REASONS if bits & reason.mask)


def markdown_table() -> str:
    """Write the registry as the table of ``docs/photometry.md``."""
    head = ["| bit | reason | flag | when |", "|---|---|---|---|"]
    rows = [f"| {r.mask} | {r.name} | {r.flag} | {r.meaning} |" for r in REASONS]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    print(markdown_table())  # noqa: T201 - its output is the table
