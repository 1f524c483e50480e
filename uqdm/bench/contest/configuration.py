"""The section ``contest`` of the configuration: who takes part, and as which codecs of a run."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from uqdm.bench.contest.options import PageOptions
from uqdm.bench.datasets import spec_of
from uqdm.bench.run.codec_settings import Request, requests_from_mapping, resolve
from uqdm.codec import LABEL
from uqdm.option_fields import arguments, errors_begin, from_section
from uqdm.text import one_line


@dataclass(frozen=True)
class Contestant:
    """A codec in the contest under a name of its own, which labels its curves unless it is the codec's name.

    ``parameters`` are as under ``runs`` in the configuration; ``about`` says in a line what the codec is.
    """

    name: str
    codec: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""

    def requests(self) -> list[Request]:
        """The settings that are measured.

        >>> Contestant("bpg 4:4:4", "bpg", {"quality": [40, 30]}).requests()[0]
        Request(name='bpg', parameters={'quality': 40}, label='bpg 4:4:4', target=None)
        """
        label = {} if self.name == self.codec else {LABEL: self.name}
        return requests_from_mapping({self.codec: {**self.parameters, **label} or None})

    @property
    def absent(self) -> str:
        """Why it cannot take part, for instance for want of its model; empty if it can.

        A codec that is known and lacks something of this machine can: the run has its name and the reason.
        """
        try:
            resolve(self.requests())
        except (ValueError, LookupError, OSError) as error:
            return one_line(str(error))
        return ""


@dataclass(frozen=True)
class Contest:
    """The contestants, the images, and what the page shows."""

    dataset: str = "demo"
    """As ``uqdm bench evaluate --dataset`` takes it, with its kind."""
    limit: int | None = None
    """Only the first N images; all if None."""
    metrics: tuple[str, ...] | None = None
    """Metrics that are computed; those of the section ``score`` if None."""
    contestants: tuple[Contestant, ...] = ()
    page: PageOptions = field(default_factory=PageOptions)

    def __post_init__(self) -> None:
        names = [one.name for one in self.contestants]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"contest: contestants: two are named {name!r}; give each a name of its own")

    @classmethod
    def from_mapping(cls, section: Mapping[str, Any]) -> Contest:
        """The section of a configuration that meets the schema."""
        with errors_begin("contest"):
            listed = [_contestant(one) for one in section.get("contestants") or ()]
            page = from_section(PageOptions, section.get("page") or {}, "page")
            metrics = section.get("metrics")
            return cls(
                spec_of(section.get("dataset", "demo")),
                section.get("limit"),
                None if metrics is None else tuple(metrics),
                tuple(listed),
                page,
            )

    def requests(self) -> list[Request]:
        """The settings of all that can take part."""
        return [request for one in self.contestants if one.name not in self.absent for request in one.requests()]

    @functools.cached_property
    def absent(self) -> dict[str, str]:
        """The names of those that cannot take part, with the reasons. Codecs are made for it, which takes seconds."""
        found = {one.name: one.absent for one in self.contestants}
        return {name: reason for name, reason in found.items() if reason}

    def arguments(self) -> list[str]:
        """The options of ``uqdm bench contest``."""
        return [*arguments(self.page), *self._named("--contestant", {one.name: one.about for one in self.contestants}),
                *self._named("--absent", self.absent)]  # fmt: skip

    @staticmethod
    def _named(flag: str, texts: Mapping[str, str]) -> Iterator[str]:
        return (f"{flag}={name}={text}" for name, text in texts.items())


def _contestant(section: Mapping[str, Any]) -> Contestant:
    found = Contestant(section["name"], section["codec"], section.get("parameters") or {}, section.get("about") or "")
    with errors_begin(f"contestants: {found.name}"):
        found.requests()  # raises for a label that is not allowed, and for empty lists
    return found


def parse_named(texts: list[str], flag: str) -> dict[str, str]:
    """Names and texts as ``NAME=TEXT``, the form of :meth:`Contest.arguments`.

    >>> parse_named(["vdm=ideal rates, T = 20"], "--contestant")
    {'vdm': 'ideal rates, T = 20'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        if not name or not equals:
            raise ValueError(f"{flag} {text!r}: expected NAME=TEXT")
        if name in found:
            raise ValueError(f"{flag} {text!r}: {name!r} is named twice")
        found[name] = rest
    return found
