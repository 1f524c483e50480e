"""Features kept on disk by the content of their picture: equal pictures share them, whichever run they are of."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from uqdm.bench.features.network import N_FEATURES
from uqdm.bench.files import replacing

_FORM = "v1"  # of files, and of the way from pixels to features (resize, network); raised when either changes


class FeatureStore:
    """A folder of feature vectors, one file a picture, below a folder of the network that they are from.

    Files carry a checksum: one that is damaged or cut short counts as absent, and is written again.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FeatureStore(folder, extractor_sha256="12" * 32)
    ...     store.put("ab" * 32, np.arange(2048, dtype=np.float32))
    ...     float(store.get("ab" * 32)[-1]), store.get("cd" * 32)
    (2047.0, None)
    """

    def __init__(self, folder: str | Path, extractor_sha256: str) -> None:
        self.folder = Path(folder) / f"{extractor_sha256[:16]}-{_FORM}"

    def get(self, key: str) -> np.ndarray | None:
        """Features of the picture whose SHA-256 is ``key``, float32 [2048]; None where they are not here."""
        try:
            with np.load(self._path(key), allow_pickle=False) as file:
                features = file["features"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
            return None
        return features if features.shape == (N_FEATURES,) and features.dtype == np.float32 else None

    def put(self, key: str, features: np.ndarray) -> None:
        """Keeps features, float32 [2048]; raises ValueError for others."""
        if features.shape != (N_FEATURES,) or features.dtype != np.float32:
            raise ValueError(f"expected float32 [{N_FEATURES}], got {features.dtype} {list(features.shape)}")
        with replacing(self._path(key)) as temporary, temporary.open("wb") as file:
            np.savez(file, features=features)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"
