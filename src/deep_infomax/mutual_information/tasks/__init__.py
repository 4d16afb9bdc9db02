"""Tasks whose true answer is known, to measure estimators on."""
