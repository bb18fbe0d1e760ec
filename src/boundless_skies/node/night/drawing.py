"""What all pictures of a night share: their look, and a text that says what they show."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from boundless_skies import __version__
from boundless_skies.node.night.files import replace_file

# M. Okabe and K. Ito (2008): told apart by eyes of every kind.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, GREY, PALE, PAPER = "#1B1F24", "#5B6470", "#E4E8EC", "#FFFFFF"

WIDTH_PX, HEIGHT_PX = 1600, 900
_DOTS_PER_INCH = 100
_STYLE = {
    # The one family that comes with matplotlib: a picture looks the same on every computer.
    "font.family": "DejaVu Sans",
    "font.size": 15,
    "text.color": INK,
    "axes.edgecolor": "#9AA3AD",
    "axes.labelcolor": INK,
    "axes.linewidth": 1.1,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.unicode_minus": True,
    "figure.facecolor": PAPER,
}


@contextmanager
def new_figure() -> Iterator[Figure]:
    """Give an empty figure of 1600 × 900 px: no window, no state that figures share.

    Yields
    ------
    Figure
        To be drawn and saved within the context, which sets fonts and colours.
    """
    with mpl.rc_context(_STYLE):
        size_in = (WIDTH_PX / _DOTS_PER_INCH, HEIGHT_PX / _DOTS_PER_INCH)
        figure = Figure(figsize=size_in, dpi=_DOTS_PER_INCH)
        FigureCanvasAgg(figure)
        yield figure


def plain(text: str) -> str:
    """Return a text that is drawn as it stands: a dollar sign begins no formula.

    Parameters
    ----------
    text : str
        A name from a header or a command line.

    Returns
    -------
    str
        For matplotlib.
    """
    return text.replace("$", r"\$")


def save_png(figure: Figure, path: Path, title: str, description: str) -> None:
    """Write a figure as PNG that carries a text of what it shows.

    Parameters
    ----------
    figure : Figure
        What is drawn.
    path : Path
        Where to; a picture that is there is replaced once the new one is whole.
    title, description : str
        Kept in the file as the text chunks Title and Description.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    told = {
        "Title": title,
        "Description": description,
        "Software": f"Boundless Skies {__version__}",
    }
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata=told)
    replace_file(path, picture.getvalue())
