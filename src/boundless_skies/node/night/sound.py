"""A light curve to listen to: each point is a note, and the night passes in seconds."""

import datetime as dt
import io
import math
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from boundless_skies.node.night.course import values_of
from boundless_skies.node.night.files import replace_file
from boundless_skies.node.night.result import LightCurve, seen
from boundless_skies.node.night.words import counted, nights, span

Samples = npt.NDArray[np.float64]

RATE_HZ = 44_100
_FULL_SCALE = 32_767
_LOUDEST = 0.85

_SECONDS_PER_HOUR = 2.5
_SHORTEST_S, _LONGEST_S = 10.0, 20.0
_SINGLE_NOTE_S = 2.0
_LEAD_S, _TAIL_S = 0.35, 1.2
# Up to here each full hour can be counted; more ticks would hide the notes.
_MOST_TICKS = 24

# Steps of the major pentatonic scale in semitones: no two of its notes clash.
_PENTATONIC = (0, 2, 4, 7, 9)
_LOWEST_HZ = 220.0
_OCTAVES = 2
_NAMES = ("A", "B", "C♯", "E", "F♯")
_LOWEST_OCTAVE = 3
# A constant star must not leap over two octaves: the scale spans so much at least.
_LEAST_SPAN_MAG = 0.03

_NOTE_S = (0.16, 0.5)
_NOTE_OVERLAP = 2.2
_ATTACK_S, _RELEASE_S = 0.012, 0.04
_OVERTONES = ((1.0, 1.0, 5.0), (2.0, 0.35, 8.0), (3.0, 0.12, 12.0))
_SOFTEST = 0.3
_MOST_NOISE = 0.6
_NOISE_SEED = 20_250_101
_TICK_HZ, _TICK_S, _TICK_LOUDNESS = 1_760.0, 0.03, 0.10


@dataclass(frozen=True, kw_only=True)
class Score:
    """What is played.

    Attributes
    ----------
    seconds : float
        Length of the night as it is heard.
    starts_s : ndarray, shape (n,)
        When each note begins.
    steps : ndarray of int, shape (n,)
        Steps of the scale above its lowest note.
    loudness, noise : ndarray, shape (n,)
        Between 0 and 1; less certain points are softer and noisier.
    ticks_s : ndarray
        When each full hour of UTC is.
    bright_mag, faint_mag : float
        What the highest and the lowest note stand for.
    hours : float
        Length of the light curve.
    """

    seconds: float
    starts_s: Samples
    steps: npt.NDArray[np.int_]
    loudness: Samples
    noise: Samples
    ticks_s: Samples
    bright_mag: float
    faint_mag: float
    hours: float


def write_sound(curve: LightCurve, path: Path) -> str:
    """Write a light curve as a WAV file (16 bit, mono, 44.1 kHz).

    Parameters
    ----------
    curve : LightCurve
        At least one point that is no limit.
    path : Path
        Where to.

    Returns
    -------
    str
        How to listen to it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    score = compose(curve)
    replace_file(path, _wav(perform(score)))
    return explain(curve, score)


def compose(curve: LightCurve) -> Score:
    """Turn times into times, brightness into pitch, and uncertainty into softness and noise.

    Parameters
    ----------
    curve : LightCurve
        Its limits are left out: a star that was not seen is not heard.

    Returns
    -------
    Score
        One note a point.
    """
    real = seen(curve.points)
    magnitudes, errors = values_of(real, "magnitude"), values_of(real, "uncertainty")
    middles = [
        middle
        for point, middle in zip(curve.points, curve.middles_utc, strict=True)
        if not point.get("is_limit")
    ]
    hours = np.array([(middle - middles[0]) / dt.timedelta(hours=1) for middle in middles])
    seconds = _length_s(float(hours[-1]))
    s_per_h = seconds / float(hours[-1]) if hours[-1] > 0 else 0.0
    bright, faint = _reach(magnitudes)
    share = (faint - magnitudes) / (faint - bright)
    certain = np.minimum(float(np.median(errors)) / np.maximum(errors, 1e-6), 1.0)
    return Score(
        seconds=seconds,
        starts_s=_LEAD_S + hours * s_per_h,
        steps=np.rint(np.clip(share, 0.0, 1.0) * _top_step()).astype(int),
        loudness=_SOFTEST + (1.0 - _SOFTEST) * certain,
        noise=_MOST_NOISE * (1.0 - certain),
        ticks_s=_ticks_s(middles[0], float(hours[-1]), s_per_h),
        bright_mag=bright,
        faint_mag=faint,
        hours=float(hours[-1]),
    )


def explain(curve: LightCurve, score: Score) -> str:
    """Tell how to listen to a light curve.

    Parameters
    ----------
    curve : LightCurve
        What is heard.
    score : Score
        What was made of it.

    Returns
    -------
    str
        Length, range of notes with their magnitudes, and what softness, ticks and gaps mean.
    """
    notes = counted(len(score.starts_s), "note")
    limits = len(curve.points) - len(score.starts_s)
    lowest = f"{note_name(0)} is magnitude {score.faint_mag:.3f}"
    highest = f"{note_name(_top_step())} is {score.bright_mag:.3f}"
    sentences = [
        f"{curve.target.name}, {nights(curve)} UTC: {notes} for {span(score.hours)}.",
        f"The brighter, the higher: {lowest}, {highest}, on a pentatonic scale.",
        "The less certain a point, the softer and the more breathy its note; silence is a gap.",
    ]
    if len(score.ticks_s):
        per_hour = score.seconds / score.hours
        sentences.append(f"A soft tick marks each full hour UTC, {per_hour:.1f} s apart.")
    if limits:
        sentences.append(f"Not heard: {counted(limits, 'point')} in which the star was not seen.")
    return " ".join(sentences)


def note_name(step: int) -> str:
    """Return the name of a step of the scale, counted from its lowest note, and its pitch."""
    octave, place = divmod(step, len(_PENTATONIC))
    # Octaves are counted from C, not from A.
    number = _LOWEST_OCTAVE + octave + (_NAMES[place][0] in "CDEFG")
    return f"{_NAMES[place]}{number} ({pitch_hz(step):.0f} Hz)"


def pitch_hz(step: int) -> float:
    """Return the pitch of a step of the scale, counted from its lowest note."""
    octave, place = divmod(step, len(_PENTATONIC))
    return float(_LOWEST_HZ * 2.0 ** (octave + _PENTATONIC[place] / 12.0))


def perform(score: Score) -> Samples:
    """Play a score.

    Parameters
    ----------
    score : Score
        What to play.

    Returns
    -------
    ndarray
        Samples between -1 and 1, which begin and end in silence.
    """
    samples = np.zeros(math.ceil((_LEAD_S + score.seconds + _TAIL_S) * RATE_HZ))
    breath = np.random.default_rng(_NOISE_SEED)
    length_s = _note_length_s(score)
    rows = zip(score.starts_s, score.steps, score.loudness, score.noise, strict=True)
    for start_s, step, loudness, noise in rows:
        note = _note(pitch_hz(int(step)), length_s, float(noise), breath)
        _add(samples, float(start_s), loudness * note)
    if len(score.starts_s):
        samples *= _LOUDEST / max(float(np.abs(samples).max()), 1e-9)
    for start_s in score.ticks_s:
        _add(samples, float(start_s), _TICK_LOUDNESS * _tick())
    return np.clip(samples, -1.0, 1.0)


def _length_s(hours: float) -> float:
    if hours <= 0:
        return _SINGLE_NOTE_S
    return min(max(hours * _SECONDS_PER_HOUR, _SHORTEST_S), _LONGEST_S)


def _top_step() -> int:
    return _OCTAVES * len(_PENTATONIC)


def _reach(magnitudes: Samples) -> tuple[float, float]:
    middle = (float(magnitudes.min()) + float(magnitudes.max())) / 2
    half = max(float(np.ptp(magnitudes)), _LEAST_SPAN_MAG) / 2
    return middle - half, middle + half


def _ticks_s(first: dt.datetime, hours: float, s_per_h: float) -> Samples:
    to_full_h = (-(first.minute / 60 + first.second / 3600 + first.microsecond / 3.6e9)) % 1.0
    ticks_h = np.arange(to_full_h, hours + 1e-9, 1.0)
    if len(ticks_h) > _MOST_TICKS or s_per_h == 0:
        return np.empty(0)
    return _LEAD_S + ticks_h * s_per_h


def _note_length_s(score: Score) -> float:
    """Return one length for all notes: they ring into the next, but not through a gap."""
    shortest_s, longest_s = _NOTE_S
    if len(score.starts_s) < 2:  # noqa: PLR2004 - two notes have a distance
        return longest_s
    apart_s = float(np.median(np.diff(score.starts_s)))
    return min(max(_NOTE_OVERLAP * apart_s, shortest_s), longest_s)


def _note(hz: float, length_s: float, noise: float, breath: np.random.Generator) -> Samples:
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    tone = np.zeros(len(time_s))
    for multiple, weight, decay in _OVERTONES:
        tone += weight * np.exp(-decay * time_s) * np.sin(2 * np.pi * multiple * hz * time_s)
    air = np.convolve(breath.standard_normal(len(time_s)), np.ones(24) / 24**0.5, "same")
    note: Samples = ((1.0 - noise) * tone + 0.3 * noise * air) * _envelope(time_s, length_s)
    return note


def _envelope(time_s: Samples, length_s: float) -> Samples:
    """Return a rise and a fall without a corner, so that no note clicks."""
    rise = np.clip(time_s / _ATTACK_S, 0.0, 1.0)
    fall = np.clip((length_s - time_s) / _RELEASE_S, 0.0, 1.0)
    envelope: Samples = np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2
    return envelope


def _tick() -> Samples:
    time_s = np.arange(round(_TICK_S * RATE_HZ)) / RATE_HZ
    window = np.sin(np.pi * time_s / _TICK_S) ** 2
    tick: Samples = window * np.sin(2 * np.pi * _TICK_HZ * time_s)
    return tick


def _add(samples: Samples, start_s: float, sound: Samples) -> None:
    first = round(start_s * RATE_HZ)
    room = samples[first : first + len(sound)]
    room += sound[: len(room)]


def _wav(samples: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE_HZ)
        stream.writeframes(np.rint(samples * _FULL_SCALE).astype("<i2").tobytes())
    return file.getvalue()
