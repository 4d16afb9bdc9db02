"""Total correlation: how much the coordinates of one variable depend on each other."""
