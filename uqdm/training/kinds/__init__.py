"""Kinds of models that can be trained: a file for each says how training starts, is measured and is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from uqdm.training.kinds.banded import Banded
from uqdm.training.kinds.contract import ModelKind
from uqdm.training.kinds.diffusion import Diffusion
from uqdm.training.kinds.refine import SecondStage
from uqdm.training.kinds.transform import TransformCoding

KINDS: tuple[ModelKind, ...] = (TransformCoding(), SecondStage(), Banded(), Diffusion())


def kind_of(model: Mapping[str, Any]) -> ModelKind:
    """The kind of a model by its configuration; the last one takes all that is of no other kind.

    >>> type(kind_of({"transform": {"architecture": "blocks"}, "levels": []})).__name__
    'TransformCoding'
    """
    return next(kind for kind in KINDS if kind.describes(model))
