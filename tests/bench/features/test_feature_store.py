"""Guards the store of features: each is whole or absent, and separate for each network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uqdm.bench.features.store import FeatureStore

KEY, NETWORK = "ab" * 32, "12" * 32
FEATURES = np.random.default_rng(0).random(2048, dtype=np.float32)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore(tmp_path, NETWORK, 2048)
    store.put(KEY, FEATURES)
    return store


def test_stored_features_are_returned_unchanged(store: FeatureStore, tmp_path: Path) -> None:
    found = FeatureStore(tmp_path, NETWORK, 2048).get(KEY)
    assert found is not None
    np.testing.assert_array_equal(found, FEATURES)
    assert store.get("cd" * 32) is None
    assert FeatureStore(tmp_path, "34" * 32, 2048).get(KEY) is None


def test_a_file_damaged_at_any_byte_counts_as_absent(store: FeatureStore, tmp_path: Path) -> None:
    (path,) = (file for file in tmp_path.rglob("*") if file.is_file())
    whole = path.read_bytes()
    assert path.parent.parent.name.startswith(NETWORK[:16])
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert store.get(KEY) is None, f"cut at {length}"
    for position in range(0, len(whole), 97):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        found = store.get(KEY)  # a byte without effect, such as one of a time, may change
        assert found is None or np.array_equal(found, FEATURES), f"changed at {position}"
    store.put(KEY, FEATURES)
    np.testing.assert_array_equal(store.get(KEY), FEATURES)


@pytest.mark.parametrize("wrong", [FEATURES[:-1], FEATURES.astype(np.float64), FEATURES[None]])
def test_other_arrays_are_refused(store: FeatureStore, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected float32 \[2048\]"):
        store.put(KEY, wrong)
