"""Models by name or path, ready to compress."""

from __future__ import annotations

import os

from uqdm.banded import model as banded
from uqdm.model.files import BANDED_FORMAT
from uqdm.model.zoo import find, format_named, load_named
from uqdm.progressive.banded.compressor import BandedUQDM
from uqdm.progressive.compressor import UQDM
from uqdm.progressive.device import checked_device


def load_model(
    name_or_path: str | os.PathLike[str], *, weights: str = "ema", device: str = "cpu", threads: int | None = None
) -> UQDM | BandedUQDM:
    """Loads a shipped model by name, a model folder by path, or a model of the hub, ready to compress.

    The name of the last is ``hf:OWNER/NAME[/FOLDER][@REVISION][#sha256=HEX]`` (see :mod:`uqdm.model.hub`).

    ``weights`` matters for published checkpoints (see :func:`uqdm.model.checkpoint.load`). ``device`` is ``cpu``,
    ``cuda`` or ``cuda:N``. ``threads`` is as in :class:`UQDM`. Raises ValueError for a device that is not here, and
    :class:`uqdm.model.files.CheckpointError` for a folder that is no model.

    >>> import numpy as np
    >>> model = load_model("uqdm-pixel")
    >>> model
    UQDM(uqdm-pixel, 4 steps, 540,663 parameters, cpu, weights sha256:e8e0ef64a823f89d)
    >>> files = model.compress(np.zeros((2, 64, 64, 3), np.uint8))
    >>> model.decompress(files).shape, model.decompress(files[0]).shape
    ((2, 64, 64, 3), (64, 64, 3))
    """
    checked_device(device)  # before weights are read
    if format_named(name_or_path) == BANDED_FORMAT:
        return BandedUQDM(banded.load(find(name_or_path)), device, threads=threads)
    return UQDM(load_named(name_or_path, weights), device, threads=threads)
