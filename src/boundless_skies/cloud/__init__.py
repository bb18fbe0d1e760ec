"""The service that nodes talk to."""
