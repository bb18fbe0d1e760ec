"""Where things are kept: one module per subject, each a few named queries."""
