"""Boundless Skies: a network of home telescopes that does real science."""

__version__ = "0.1.0"
