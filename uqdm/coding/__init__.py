"""Coding in integers: shared randomness, lattice, logistic tables, the stream and the file. No network in here."""
