"""The owner's dashboard: pages that the running node serves on its own computer."""
