"""The calls of the wire over HTTP."""
