"""Darks, flats and biases: combined from what the owner took, matched, and taken off a frame."""
