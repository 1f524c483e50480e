"""UQDM as a codec: the quantized process of a model, coded to one progressive file per image.

The compressor needs torch, which takes seconds to import: it is imported when one of its names is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uqdm.progressive.codec import UQDMCodec

if TYPE_CHECKING:
    from uqdm.progressive.banded.compressor import BandedUQDM
    from uqdm.progressive.compressor import UQDM
    from uqdm.progressive.files import Compressed, Picture
    from uqdm.progressive.load import load_model

__all__ = ["UQDM", "BandedUQDM", "Compressed", "Picture", "UQDMCodec", "load_model"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from uqdm.progressive import files, load

    return getattr(files if hasattr(files, name) else load, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
