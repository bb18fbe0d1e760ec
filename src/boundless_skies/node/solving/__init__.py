"""Where a frame points: plate solving, and the check that a solution is right."""
