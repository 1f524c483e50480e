"""UQDM as a codec: the quantized process of a model, coded to one progressive file per image."""

from uqdm.progressive.codec import UQDMCodec
from uqdm.progressive.compressor import UQDM, Compressed, Picture, load_model

__all__ = ["UQDM", "Compressed", "Picture", "UQDMCodec", "load_model"]
