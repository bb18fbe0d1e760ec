"""Pure astronomy: no I/O, no clock of its own."""
