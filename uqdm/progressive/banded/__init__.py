"""Coding of images by a process in bands (:mod:`uqdm.banded`) to files of version 3."""
