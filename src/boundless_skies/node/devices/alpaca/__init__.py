"""Telescopes that speak ASCOM Alpaca, over the local network.

The calls are the node's own and not alpyca's, so that a dead weather station cannot keep the
mount from being stopped; see ``docs/adr/0016-alpaca-calls.md``.
"""

from boundless_skies.node.devices.alpaca.connecting import TelescopeSettings, connect_telescope

__all__ = ["TelescopeSettings", "connect_telescope"]
