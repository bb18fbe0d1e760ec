"""Links and servers for the durability tests."""

from tests.support.links import _plain_environment, links, server

__all__ = ["_plain_environment", "links", "server"]
