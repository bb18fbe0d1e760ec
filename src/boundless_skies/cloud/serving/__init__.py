"""Running the web server: one process, or a parent with several workers on one socket."""

from boundless_skies.cloud.serving.parent import serve

__all__ = ["serve"]
