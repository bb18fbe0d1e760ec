"""The cloud, a node and a night, at work together on one machine."""
