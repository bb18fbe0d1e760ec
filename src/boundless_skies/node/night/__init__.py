"""A night at once: a folder of frames in; a light curve as table, picture, report and sound out."""
