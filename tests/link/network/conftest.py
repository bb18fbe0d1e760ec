"""Every test here gets its own server and data folder."""

from tests.support.links import _plain_environment, links, server

__all__ = ["_plain_environment", "links", "server"]
