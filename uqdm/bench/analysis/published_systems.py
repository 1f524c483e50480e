"""Published curves of systems, those of the paper and of the field, in one form: to list them, and to show them beside
measured curves. They never enter statistics.

The tables are in ``uqdm/published``, whose README explains them. A new set of curves is one file,
``uqdm/published/field/points/SET.csv``, and lines for what is new in ``sets.csv``, ``systems.csv``, ``sources.csv``.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uqdm.bench.analysis.published_curves import FIELD, IMAGES, images_of, published
from uqdm.registry import suggest

if TYPE_CHECKING:
    import pandas as pd

FAMILIES = {
    "classic": "classic codecs",
    "autoencoder": "learned autoencoders and VAEs with a fixed entropy model",
    "hyperprior": "learned autoencoders with a hyperprior or a context model, and their successors",
    "variable-rate": "learned codecs with one model for all rates, or a progressive stream",
    "overfitted": "networks or decoders that are fitted to each image (implicit representations)",
    "gan": "generative codecs trained with an adversarial loss",
    "diffusion": "generative codecs with a diffusion model",
    "bound": "bounds on the rate-distortion function, no codecs",
}
"""The families of systems, in the order of lists and plots, each in words."""

RATE_KINDS = {
    "file": "size of a file",
    "bitstream": "length of what an entropy coder wrote",
    "ideal": "a model's estimate, nothing is coded",
    "nominal": "rate by design, not measured",
    "unstated": "not stated by the source",
}
"""What a rate is, by the words of the tables."""

POINT_COLUMNS = (
    "system",
    "setting",
    "bpp",
    "psnr_db",
    "ms_ssim",
    "lpips",
    "dists",
    "fid",
    "kid",
    "rate_kind",
    "source",
)
"""The columns of ``points/SET.csv``: a row for each point; ``source`` is a key of ``sources.csv``."""

FID_OF = {"whole images": "fid", "256 px patches, half shift": "patch_fid_256"}
"""The metric of this project that a published FID can stand beside, by the way it was computed. Others stand nowhere:
their scale differs."""
_LPIPS_OF = {"vgg": "lpips_vgg"}  # every other network is AlexNet, as far as it is stated


@dataclass(frozen=True)
class Source:
    """Where figures come from and what they are: a row of ``sources.csv``."""

    name: str
    repository: str
    commit: str
    path: str
    licence: str
    """That of the repository. Figures are facts; an owner may filter by it nevertheless."""
    protocol: str
    lpips_net: str = ""
    """Network of LPIPS: "alex", "vgg", "not stated", or empty if there is no LPIPS."""
    fid_protocol: str = ""
    digitised: bool = False
    """Whether the figures were read off a plot."""
    doubtful: str = ""
    """Why the figures are doubtful; empty if they are not."""
    caveat: str = ""

    @property
    def text(self) -> str:
        """Repository, place and the first digits of the commit."""
        commit = f"@{self.commit[:10]}" if self.commit else ""
        return f"{self.repository}{f'/{self.path}' if self.path else ''}{commit}"


@dataclass(frozen=True, eq=False)
class PublishedSystem:
    """A published curve: one system on one set of images.

    ``points`` has the columns ``bpp``, ``suspect`` (why a point is doubtful, or empty), and one for each metric of this
    project that the figures can stand beside, under its name; in order of rate.
    """

    name: str
    label: str
    family: str
    rate_kind: str
    source: str
    """The publication, or repository, place and commit."""
    licence: str
    protocol: str
    caveat: str
    points: pd.DataFrame
    digitised: bool = False
    doubtful: str = ""

    @property
    def plain(self) -> bool:
        """Whether its figures are neither digitised nor doubtful, so that it is shown without being asked for."""
        return not self.digitised and not self.doubtful

    @property
    def flag(self) -> str:
        """What keeps its figures from being plain, in words."""
        return f"doubtful: {self.doubtful}" if self.doubtful else "digitised" if self.digitised else ""

    @property
    def metrics(self) -> list[str]:
        """The metrics that some point has."""
        return [str(name) for name in self.points if name not in ("bpp", "suspect") and self.points[name].notna().any()]


def set_names() -> list[str]:
    """Every set with published curves: the paper's, then those of the field.

    >>> set_names()[:4]
    ['cifar10', 'imagenet64', 'clic2020-mobile-compressai', 'clic2020-pro-compressai']
    """
    return [*IMAGES, *sorted(path.stem for path in (FIELD / "points").glob("*.csv"))]


@functools.cache
def published_systems(name: str) -> tuple[PublishedSystem, ...]:
    """The curves on a set, by family and label; raises LookupError with suggestions for an unknown set.

    >>> coin = next(one for one in published_systems("kodak") if one.name == "coin")
    >>> coin.family, coin.rate_kind, coin.metrics, len(coin.points)
    ('overfitted', 'unstated', ['psnr_db'], 6)
    """
    images_of(name)
    if name in IMAGES:
        return _paper_systems(name)
    rows = field_points(name)
    found = [_field_system(str(system), points) for system, points in rows.groupby("system", sort=False)]
    order = list(FAMILIES)
    return tuple(sorted(found, key=lambda one: (order.index(one.family), one.label.lower())))


def all_system_names() -> list[str]:
    """The name of every system on any set."""
    return list(dict.fromkeys(one.name for name in set_names() for one in published_systems(name)))


def check_choice(choice: str | None) -> None:
    """Raises LookupError, with suggestions, for a choice of published curves that names an unknown system.

    A choice is None (what the set shows by default), ``"best"`` (of each family), ``"none"``, ``"all"``, or names of
    systems with commas between.

    >>> check_choice("coin, c3")
    >>> check_choice("mlicpluss")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    LookupError: no published system 'mlicpluss' (did you mean mlicplus, mlicplusplus...
    """
    if choice in (None, "best", "none", "all"):
        return
    known = all_system_names()
    for name in names_in(str(choice)):
        if name not in known:
            raise LookupError(
                f"no published system {name!r}{suggest(name, known)}; choose best, none, all, or names that "
                "`uqdm bench published --dataset SET` lists"
            )


def check_families(names: Iterable[str]) -> None:
    """Raises LookupError, with suggestions, for a name that is no family.

    >>> check_families(["diffusoin"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    LookupError: no family 'diffusoin' (did you mean diffusion?); known: classic, autoencoder, ...
    """
    for name in names:
        if name not in FAMILIES:
            raise LookupError(f"no family {name!r}{suggest(name, FAMILIES)}; known: {', '.join(FAMILIES)}")


def names_in(choice: str) -> list[str]:
    """The names in a choice.

    >>> names_in("coin, c3,")
    ['coin', 'c3']
    """
    return [name.strip() for name in choice.split(",") if name.strip()]


@functools.cache
def sources() -> dict[str, Source]:
    """The sources of the field's figures, by name."""
    with (FIELD / "sources.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row["source"]: _source(row) for row in rows}


@functools.cache
def families() -> dict[str, tuple[str, str]]:
    """Label and family of each system, by its name: the table ``systems.csv``."""
    with (FIELD / "systems.csv").open(encoding="utf-8", newline="") as file:
        return {row["system"]: (row["label"], row["family"]) for row in csv.DictReader(file)}


def field_points(name: str) -> pd.DataFrame:
    """The rows of ``points/SET.csv``, with the columns of ``POINT_COLUMNS``."""
    import pandas as pd

    return pd.read_csv(FIELD / "points" / f"{name}.csv", dtype={"setting": str}, keep_default_na=False, na_values=[""])


def point_table(name: str) -> pd.DataFrame:
    """The figures of a set with every fact about them: a row for each point, as published, for export.

    >>> len(point_table("kodak")), list(point_table("cifar10"))[:5]
    (1942, ['data_set', 'system', 'label', 'family', 'setting'])
    """
    rows = _paper_points(name) if name in IMAGES else _with_source(field_points(name))
    facts = families()
    rows = rows.assign(
        data_set=name,
        label=[facts[system][0] for system in rows.system],
        family=[facts[system][1] for system in rows.system],
    )
    return rows[list(TABLE_COLUMNS)]


TABLE_COLUMNS = (
    *("data_set", "system", "label", "family", "setting", "bpp"),
    *("psnr_db", "ms_ssim", "lpips", "lpips_net", "dists", "fid", "kid", "fid_protocol"),
    *("rate_kind", "protocol", "digitised", "doubtful", "caveat", "source", "licence"),
)
"""The columns of :func:`point_table`."""


def _with_source(rows: pd.DataFrame) -> pd.DataFrame:
    """The points of the field with the facts of their sources."""
    of = [sources()[key] for key in rows.source]
    names = ("lpips_net", "fid_protocol", "protocol", "digitised", "doubtful", "caveat", "licence")
    rows = rows.assign(**{name: [getattr(one, name) for one in of] for name in names}, source=[one.text for one in of])
    rows.loc[rows.lpips.isna(), "lpips_net"] = ""
    rows.loc[rows.fid.isna() & rows.kid.isna(), "fid_protocol"] = ""
    return rows


def _paper_points(name: str) -> pd.DataFrame:
    rows = published(name)
    return rows.assign(
        setting=rows.point,
        rate_kind=rows.kind,
        doubtful=rows.suspect_reason,
        fid_protocol="whole images",
        digitised=False,
        **dict.fromkeys(("ms_ssim", "lpips", "dists", "kid"), None),
        **dict.fromkeys(("lpips_net", "caveat", "licence"), ""),
    )


def _source(row: dict[str, str]) -> Source:
    name = row.pop("source")
    return Source(name, **{**row, "digitised": row["digitised"] == "true"})  # type: ignore[arg-type]


def _field_system(name: str, rows: pd.DataFrame) -> PublishedSystem:
    label, family = families()[name]
    source = sources()[rows.source.iloc[0]]
    rows = rows.sort_values("bpp", kind="stable")
    points = rows[["bpp", "psnr_db", "ms_ssim", "dists"]].assign(suspect="")
    points[_LPIPS_OF.get(source.lpips_net, "lpips")] = rows.lpips
    fid = FID_OF.get(source.fid_protocol)
    if fid is not None:
        points[fid] = rows.fid
    caveats = [source.caveat]
    if source.lpips_net == "not stated" and rows.lpips.notna().any():
        caveats.append("network of LPIPS not stated, taken for AlexNet")
    return PublishedSystem(
        name,
        label,
        family,
        str(rows.rate_kind.iloc[0]),
        source.text,
        source.licence,
        source.protocol,
        "; ".join(filter(None, caveats)),
        points.reset_index(drop=True),
        source.digitised,
        source.doubtful,
    )


def _paper_systems(name: str) -> tuple[PublishedSystem, ...]:
    """The paper's systems, in its order. One doubtful column does not make a system doubtful: its points say so."""
    rows = published(name)
    rows = rows[rows.bpp > 0]
    return tuple(
        PublishedSystem(
            str(system),
            *families()[str(system)],
            points.kind.iloc[0],
            points.source.iloc[0],
            "",
            points.protocol.iloc[0],
            "",
            points[["bpp", "psnr_db", "fid"]].assign(suspect=points.suspect_reason).reset_index(drop=True),
        )
        for system, points in rows.groupby("system", sort=False)
    )
