"""The catalogues by their names in the config; apart, for the config loads no libraries."""

BUNDLED = "bundled"
VSP, APASS, GAIA = "vsp", "apass", "gaia"
NAMES = (BUNDLED, VSP, APASS, GAIA)
"""All that can be wished."""
