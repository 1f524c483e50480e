"""Grids of pictures at equal rates: the original of an image beside what each codec makes of it."""
