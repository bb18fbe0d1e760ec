"""The star catalogue that comes with the node: Tycho-2, packed."""

from boundless_skies.node.catalogue.tycho2 import Catalogue, Stars

__all__ = ["Catalogue", "Stars"]
