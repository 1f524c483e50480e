"""Which codecs share workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

C = TypeVar("C", bound="CodecNeeds")


class CodecNeeds(Protocol):
    """The properties of a codec that decide whether it shares workers with others."""

    @property
    def holds_model(self) -> bool:
        """Whether a worker has to load a model for it."""

    @property
    def uses_gpu(self) -> bool:
        """Whether it computes on a GPU if there is one."""


def sharing_workers(codecs: Iterable[C]) -> list[list[C]]:
    """Codecs in groups of shared workers.

    Plain codecs share workers, so that no core is idle at the end of each codec; a codec with a model or on a GPU has
    workers of its own.
    """
    plain: list[C] = []
    others: list[list[C]] = []
    for codec in codecs:
        if codec.holds_model or codec.uses_gpu:
            others.append([codec])
        else:
            plain.append(codec)
    return [plain, *others] if plain else others
