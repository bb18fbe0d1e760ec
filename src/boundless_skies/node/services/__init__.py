"""What the node does: watch a folder, measure, hand over, tell."""
