"""Stores features on disk by the hash of their picture: equal pictures share them, also between runs."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np

from uqdm.bench.file_identity import KIND_FEATURES, check_regular, write_stored

_FORM = "v2"  # version of the files and of the computation (resize, network); raised when either changes
_MOST_BYTES = 2**16  # of a file; valid ones have 9 KB


class FeatureStore:
    """A folder of feature vectors, one file for each picture, with a subfolder for each network.

    A file has a checksum and names its picture and network. One that is damaged, cut, or of another picture or network
    counts as absent, and is written again.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FeatureStore(folder, extractor_sha256="12" * 32, n_features=2048)
    ...     store.put("ab" * 32, np.arange(2048, dtype=np.float32))
    ...     float(store.get("ab" * 32)[-1]), store.get("cd" * 32)
    (2047.0, None)
    """

    def __init__(self, folder: str | Path, extractor_sha256: str, n_features: int) -> None:
        self._n_features = n_features
        self._extractor_sha256 = extractor_sha256
        self.folder = Path(folder) / f"{extractor_sha256[:16]}-{_FORM}"

    def get(self, key: str) -> np.ndarray | None:
        """Features of the picture whose SHA-256 is ``key``, float32 [n_features]; None if they are not stored."""
        path = self._path(key)
        try:
            check_regular(path)
            if path.stat().st_size > _MOST_BYTES:
                return None
            with np.load(path, allow_pickle=False) as file:
                said, features = file["identity"], file["features"]
        except Exception:  # damage makes zipfile and NumPy raise a dozen types
            return None
        if features.shape != (self._n_features,) or features.dtype != np.float32:
            return None
        return features if said.shape == () and str(said) == self._identity(key, features) else None

    def put(self, key: str, features: np.ndarray) -> None:
        """Stores features, float32 [n_features]; raises ValueError for another type or shape."""
        if features.shape != (self._n_features,) or features.dtype != np.float32:
            raise ValueError(f"expected float32 [{self._n_features}], got {features.dtype} {list(features.shape)}")
        data = io.BytesIO()
        np.savez(data, features=features, identity=np.array(self._identity(key, features)))
        write_stored(self._path(key), data.getvalue())

    def _identity(self, key: str, features: np.ndarray) -> str:
        """The identity of a picture's file, with a hash of its content: zip's own check is not enough."""
        what = {"kind": KIND_FEATURES, "key": key, "extractor": self._extractor_sha256, "form": _FORM}
        return json.dumps({**what, "sha256": hashlib.sha256(features.astype("<f4").tobytes()).hexdigest()})

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.npz"
