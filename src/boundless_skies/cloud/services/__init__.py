"""What the cloud does for nodes, operators and the public."""
