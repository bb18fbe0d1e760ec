"""A finished FITS file as a frame: pixels, facts of the header, mid-exposure time."""

from boundless_skies.node.fits.completeness import is_complete, require_complete

__all__ = ["is_complete", "require_complete"]
