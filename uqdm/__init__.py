"""Universally quantized diffusion models as an image codec, and a benchmark that compares it with others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uqdm.progressive import load_model

__version__ = "0.1.0"
__all__ = ["__version__", "load_model"]


def __getattr__(name: str) -> Any:
    # Loading a model needs torch, which takes seconds to import: only those who ask for it wait.
    if name == "load_model":
        from uqdm.progressive import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
