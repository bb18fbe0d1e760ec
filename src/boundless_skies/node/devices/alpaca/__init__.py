"""Telescopes that speak ASCOM Alpaca, over the local network.

The calls are the node's own and not alpyca's: that library holds one lock of the whole
process while a server is silent, so that a dead weather station would keep the mount from
being stopped; it bounds no answer that drips, and asks for the list of devices without any
limit of time.
"""

from boundless_skies.node.devices.alpaca.connecting import TelescopeSettings, connect_telescope

__all__ = ["TelescopeSettings", "connect_telescope"]
