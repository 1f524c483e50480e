"""DiffC with files (Theis et al. 2022; Vonderfecht & Liu 2025): Gaussian diffusion by channel simulation."""

from uqdm.diffc.codec import DiffCCodec

__all__ = ["DiffCCodec"]
