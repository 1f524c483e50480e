"""Guards that the names of FID and KID occur in the files of these metrics alone."""

from __future__ import annotations

import re
from pathlib import Path

BENCH = Path(__file__).resolve().parents[3] / "uqdm" / "bench"
OWN = {
    f"metrics/{name}.py" for name in ("fid", "kid", "patch_fid", "patch_fid_256", "fd_dinov2", "fd_clip")
}  # the last two are computed as FID is
REASONS = {
    "paper/": "the FID that the paper published",
    "analysis/published_curves.py": "a column of the paper's published tables",
    "analysis/published_systems.py": "columns of published tables, and the metric beside which each may stand",
    "datasets/": "the published number of patches of a data set, by which its images are checked",
    "plots/rate_fid.py": "the plot of that metric; nothing but its name and label",
    "plots/rate_kid.py": "the plot of that metric; nothing but its name and label",
    "features/given_weights.py": "the name of the page on weights",
    "features/weights.py": "the name of the archive that holds the weights, and of the page on them",
}
NAMES = re.compile(r"(?<![A-Za-z])(fid|kid)s?(?![A-Za-z])", re.IGNORECASE)


def test_metrics_of_sets_are_named_in_their_own_files_alone() -> None:
    named = {
        str(file.relative_to(BENCH))
        for file in BENCH.rglob("*")
        if file.suffix in {".py", ".js", ".html", ".css"} and NAMES.search(file.read_text())
    }
    assert named >= OWN
    assert {name for name in named - OWN if not name.startswith(tuple(REASONS))} == set()
    assert all(any(name.startswith(place) for name in named) for place in REASONS), "an exception that is not needed"
