"""What shall be observed, and what may be: items, states, rules. No I/O, no clock of its own."""
