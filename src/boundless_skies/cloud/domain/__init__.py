"""The rules: what is accepted, what is refused, and how it is said. No SQL, no HTTP."""
