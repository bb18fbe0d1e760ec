"""The program on the telescope's computer."""
