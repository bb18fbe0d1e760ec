"""The room's names, in whatever order they are asked for."""

import subprocess
import sys

import pytest

from boundless_skies import sky


@pytest.mark.parametrize("first", sky.__all__)
def test_names_are_what_they_say_whichever_comes_first(first: str) -> None:
    """No room that is loaded for one name stands in the way of another."""
    code = f"from boundless_skies.sky import {first}, {', '.join(sky.__all__)}; print("
    code += "all(map(callable, [" + ", ".join(sky.__all__) + "])))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
