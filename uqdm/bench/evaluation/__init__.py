"""Measures codecs on data sets: rates, times and memory of every image."""
