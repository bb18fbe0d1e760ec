"""The link: keeps one node in touch with the cloud, whatever the network does.

::

    from cloud_communicator import CloudCommunicator

    link = CloudCommunicator(config, on_plan=load_plan)
    link.start()
    link.submit_measurement(measurement)
"""

from cloud_communicator.communicator import CloudCommunicator
from cloud_communicator.errors import (
    ConfigError,
    InvalidEvent,
    InvalidMeasurement,
    LinkAlreadyRunning,
    LinkError,
    LinkFailure,
    LinkRefusal,
)

__all__ = [
    "CloudCommunicator",
    "ConfigError",
    "InvalidEvent",
    "InvalidMeasurement",
    "LinkAlreadyRunning",
    "LinkError",
    "LinkFailure",
    "LinkRefusal",
]
