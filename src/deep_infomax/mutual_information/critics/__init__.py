"""Critics of pairs: how samples are read, simple models, networks, their training and their readouts."""
