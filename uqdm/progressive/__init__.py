"""UQDM as a codec: a model's process, quantized and coded, one progressive file an image."""

from uqdm.progressive.codec import UQDMCodec
from uqdm.progressive.compressor import UQDM, Compressed, Picture, load_model

__all__ = ["UQDM", "Compressed", "Picture", "UQDMCodec", "load_model"]
