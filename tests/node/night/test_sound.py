"""A light curve, listened to."""

import wave
from pathlib import Path

import numpy as np
import pytest
from tests.node.night.curves import curve_of, point_at, transit

from boundless_skies.node.night.sound import (
    RATE_HZ,
    compose,
    note_name,
    perform,
    pitch_hz,
    write_sound,
)


def read(path: Path) -> np.ndarray:
    """Read a WAV file as samples between -1 and 1."""
    with wave.open(str(path)) as stream:
        assert (stream.getnchannels(), stream.getsampwidth()) == (1, 2)
        assert stream.getframerate() == RATE_HZ
        return np.frombuffer(stream.readframes(stream.getnframes()), "<i2") / 32_767


def loudest_hz(samples: np.ndarray, start_s: float, length_s: float = 0.12) -> float:
    """Return the strongest pitch from a time on."""
    first = round((start_s + 0.02) * RATE_HZ)
    part = samples[first : first + round(length_s * RATE_HZ)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 2**17))
    return float(np.argmax(spectrum) * RATE_HZ / 2**17)


def test_file_is_a_wav_of_ten_to_twenty_seconds(tmp_path: Path) -> None:
    """It begins and ends in silence, and does not clip."""
    told = write_sound(transit(), tmp_path / "s.wav")
    samples = read(tmp_path / "s.wav")
    assert 10 <= len(samples) / RATE_HZ <= 22
    assert samples[0] == samples[-1] == 0
    assert 0.5 < np.abs(samples).max() < 0.98
    assert "A3 (220 Hz)" in told
    assert "A5 (880 Hz)" in told


def test_brighter_is_higher() -> None:
    """The notes' pitches, as they are heard, follow the magnitudes."""
    magnitudes = (12.0, 11.6, 11.0, 11.4, 11.9)
    score = compose(curve_of([point_at(float(at), mag) for at, mag in enumerate(magnitudes)]))
    samples = perform(score)
    heard = [loudest_hz(samples, float(start)) for start in score.starts_s]
    assert np.argsort(heard).tolist() == np.argsort(magnitudes)[::-1].tolist()
    assert heard[2] == pytest.approx(880.0, rel=0.01)
    assert heard[0] == pytest.approx(220.0, rel=0.02)


def test_constant_star_does_not_leap() -> None:
    """Two thousandths of a magnitude are one note of the scale at most."""
    score = compose(curve_of([point_at(float(at), 12.0 + 0.001 * (at % 3)) for at in range(9)]))
    assert np.ptp(score.steps) <= 1


def test_gap_is_silent_and_time_is_even() -> None:
    """Three hours without a point are heard as such."""
    hours = (0.0, 0.25, 0.5, 3.5, 3.75, 4.0)
    score = compose(curve_of([point_at(hour, 12.0) for hour in hours]))
    per_hour = score.seconds / 4.0
    assert np.diff(score.starts_s) == pytest.approx(np.diff(hours) * per_hour)
    samples = perform(score)
    first = round((score.starts_s[2] + 0.7) * RATE_HZ)
    last = round(score.starts_s[3] * RATE_HZ) - 9
    quiet = np.abs(samples[first:last])
    ticks = [round(tick * RATE_HZ) - first for tick in score.ticks_s]
    for tick in ticks:
        quiet[max(tick, 0) : max(tick + round(0.04 * RATE_HZ), 0)] = 0
    assert quiet.max() == 0


def test_full_hours_tick_softly() -> None:
    """From 21:10 on, the first full hour comes after 50 minutes."""
    score = compose(curve_of([point_at(float(hour), 12.0) for hour in range(5)]))
    per_hour = score.seconds / 4.0
    assert (score.ticks_s - score.starts_s[0]) / per_hour == pytest.approx(
        [5 / 6, 11 / 6, 17 / 6, 23 / 6]
    )


def test_uncertain_points_are_softer_and_breathier() -> None:
    """The tone's share of the sound falls as the error grows."""
    points = [point_at(float(at), 12.0) for at in range(5)]
    points[2]["uncertainty"] *= 5
    score = compose(curve_of(points))
    samples = perform(score)

    def part(index: int) -> np.ndarray:
        first = round(float(score.starts_s[index]) * RATE_HZ)
        return samples[first : first + round(0.3 * RATE_HZ)]

    assert np.abs(part(2)).max() < 0.6 * np.abs(part(1)).max()

    def hiss(sound: np.ndarray) -> float:
        power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
        return float(power[round(0.3 * 3_000) :].sum() / power.sum())

    assert hiss(part(2)) > 20 * hiss(part(1))


def test_nothing_clicks() -> None:
    """A click is heard as energy at all pitches: there is none above the notes and the ticks."""
    samples = perform(compose(transit(points=200)))
    certain = perform(
        compose(curve_of([point_at(at / 20, 12.0 + (at % 7) / 50) for at in range(140)]))
    )
    for sound in (samples, certain):
        power = np.abs(np.fft.rfft(sound)) ** 2
        hertz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
        assert power[hertz > 6_000].sum() < 1e-7 * power.sum()


def test_scale_is_pentatonic() -> None:
    """Names and pitches agree with the tempered scale on A4 = 440 Hz."""
    assert [note_name(step).split()[0] for step in range(6)] == [
        "A3",
        "B3",
        "C♯4",
        "E4",
        "F♯4",
        "A4",
    ]
    assert pitch_hz(5) == pytest.approx(440.0)
    assert pitch_hz(3) == pytest.approx(329.63, abs=0.01)


def test_limits_are_not_heard_but_told(tmp_path: Path) -> None:
    """And one point alone is a note too."""
    curve = curve_of([point_at(0.0, 12.0), point_at(1.0, 13.0, is_limit=True)])
    told = write_sound(curve, tmp_path / "s.wav")
    assert "1 note" in told
    assert "Not heard: 1 point" in told
    assert len(read(tmp_path / "s.wav")) / RATE_HZ < 5
