"""Which rows belong together, and what follows for folds, errors and tests."""
