"""UQDM in bands: a uniform process whose early steps work in the coordinates of a block transform.

The paper's process (Yang et al. 2025) treats all pixels alike. Here a step sends a coordinate of an orthonormal
transform only where it is worth its bits, and late steps work in pixels. One stream is progressive to lossless.
"""
