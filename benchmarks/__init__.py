"""Benchmarks of the project: each compares two ways in one run and tells the ratio."""
