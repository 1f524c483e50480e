"""Ideal codecs: theoretical rates without files, as comparison curves of papers.

``record`` is what such a codec stores in place of a file, ``twin`` the Gaussian process of a model on images, and
``codec`` implements :class:`uqdm.codec.Codec` with both. The twin needs torch, and is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uqdm.ideal.codec import VDMCodec

if TYPE_CHECKING:
    from uqdm.ideal.twin import GaussianTwin

__all__ = ["GaussianTwin", "VDMCodec"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from uqdm.ideal import twin

    return getattr(twin, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
