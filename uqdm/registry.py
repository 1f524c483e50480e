"""One registry for every kind of plug-in: codecs, data sets, metrics and plots.

A registry finds its plug-ins in two places: in the modules of a package here, one for each file, and in the entry
points of other installed packages. Listing the names imports nothing; a plug-in is loaded, and checked against the
contract of its kind, when it is requested. A plug-in that does not load, violates the contract or has an invalid name
is left out with the reason (:class:`~uqdm.plugins.Broken`), and does not affect others.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any, Generic, TypeVar

from uqdm.errors import UserError
from uqdm.plugins import LONGEST_NAME, REASON_LENGTH, Broken, check_name, contained, reason_of
from uqdm.text import one_line, printable

T = TypeVar("T")


@dataclass(frozen=True)
class Errors:
    """The exceptions that a registry raises for a name."""

    unknown: type[Exception] = LookupError
    """No plug-in has the name. The message suggests near names and lists all."""
    clash: type[Exception] = UserError
    """Several packages claim the name."""
    unavailable: type[Exception] = UserError
    """The plug-in does not load here."""


@dataclass(frozen=True)
class Plugin(Generic[T]):
    """A plug-in that was loaded and fulfils its contract."""

    name: str
    """The name of its module or of its entry point."""
    value: T
    origin: str
    """The object and the package that it comes from."""
    is_foreign: bool
    """True if it comes from another package, by entry point."""


@dataclass(frozen=True)
class _Source:
    """The place of a plug-in, before it is loaded."""

    place: str
    """``MODULE`` or ``MODULE:OBJECT``."""
    origin: str
    load: Callable[[], Any]
    is_foreign: bool


def _accept(plugin: Plugin[Any], accepted: Sequence[Plugin[Any]]) -> None:
    """Accepts every plug-in that fulfils the contract."""


class Registry(Generic[T]):
    """Finds the plug-ins of a kind by name.

    ``kind`` is the word for them in messages: "codec". ``group`` is their group of entry points. ``check`` takes a name
    and a loaded object, and returns the object or raises what is wrong with it. ``package`` is a package of ours with a
    module for each plug-in, of which ``pick`` takes the object; modules whose names begin with ``_`` are none.
    ``name_of`` gives the name of a plug-in by that of its module.
    ``check_conflicts`` raises ValueError if a plug-in conflicts with those that were accepted before it.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        check: Callable[[str, Any], T],
        *,
        package: str | None = None,
        pick: Callable[[str, ModuleType], Any] | None = None,
        name_of: Callable[[str], str] = str,
        check_conflicts: Callable[[Plugin[T], Sequence[Plugin[T]]], None] = _accept,
        errors: Errors = Errors(),
    ) -> None:
        self.kind = kind
        self.group = group
        self.registered: dict[str, T] = {}
        """Plug-ins of this process alone (:meth:`register`)."""
        self._check = check
        self._package = package
        self._pick = pick
        self._name_of = name_of
        self._check_conflicts = check_conflicts
        self._errors = errors
        self._found: Found | None = None
        self._loaded: tuple[tuple[Plugin[T], ...], tuple[Broken, ...]] | None = None

    def names(self) -> list[str]:
        """Names of all plug-ins, sorted, those that do not load included; none is imported for this."""
        return sorted({*self._sources(), *self._find().clashes, *self.registered})

    def get(self, name: str, *, asked: str = "", hint: str = "") -> T:
        """Loads the plug-in of that name; raises one of its :class:`Errors`, or what its contract check raises.

        The message for an unknown name shows ``asked`` in its place, and ``hint`` instead of near names, if given.
        """
        if name in self.registered:
            return self.registered[name]
        source = self._sources().get(name)
        if source is None:
            clashes = self._find().clashes
            if name in clashes:
                raise self._errors.clash(f"{self.kind} name {name!r} is {clashes[name]}")
            raise self.unknown(name, self.names(), asked=asked, hint=hint)
        try:
            value = source.load()
        except Exception as error:
            reason = str(error) if isinstance(error, ImportError) else reason_of(error)
            message = f"{self.kind} {name!r} ({source.place}) does not load: {one_line(reason)}"
            raise self._errors.unavailable(message) from error
        return self._check(name, value)

    def unknown(self, name: str, known: Sequence[str], *, asked: str = "", hint: str = "") -> Exception:
        """The exception for a name that is not among ``known``; see :meth:`get`."""
        left_out = [f"; left out: {one}" for one in self._known_faults() if one.name == printable(name)]
        return self._errors.unknown(
            f"no {self.kind} {printable(asked or name)!r}{hint or suggest(name, known)}; "
            f"known: {', '.join(known)}{''.join(left_out)}"
        )

    def loaded(self) -> tuple[Plugin[T], ...]:
        """Every plug-in that can be used: those of this package by name, then those of others by name."""
        return self._load_all()[0]

    def broken(self) -> tuple[Broken, ...]:
        """The plug-ins that are left out, and why each; all are imported for this."""
        return self._load_all()[1]

    def misnamed(self) -> tuple[Broken, ...]:
        """Those that are left out because their names are invalid or taken; none is imported for this."""
        return self._find().broken

    def register(self, name: str, value: T) -> T:
        """Adds a plug-in in this process alone; raises if it breaks the contract or another has its name.

        A class or function that is defined again under its own name replaces the one before.
        """
        self._check(name, value)
        source = self._sources().get(name)
        taken = self.registered.get(name)
        if source is not None or (taken is not None and not _is_same_place(taken, value)):
            other = source.place if source is not None else repr(taken)
            raise self._errors.clash(f"{self.kind} name {name!r} is taken by {other}; give yours another name")
        self.registered[name] = value
        return value

    def forget(self) -> None:
        """Drops what was found, so that entry points and modules are read again; for tests and notebooks."""
        self._found = None
        self._loaded = None

    def _find(self) -> Found:
        if self._found is None:
            self._found = find(self.kind, self.group, own=sorted(self._modules()))
        return self._found

    def _modules(self) -> dict[str, str]:
        """The modules of this package by the names of their plug-ins."""
        if self._package is None:
            return {}
        modules = [module.name for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__)]
        return {self._name_of(module): module for module in sorted(modules) if not module.startswith("_")}

    def _sources(self) -> dict[str, _Source]:
        """Where each plug-in is, by name: those of this package first."""
        found = {}
        for name, module in self._modules().items():
            place = f"{self._package}.{printable(module)}"
            found[name] = _Source(place, place, partial(self._from_module, name, module), is_foreign=False)
        usable = self._find().usable
        for name in sorted(usable):
            value = usable[name].value
            found[name] = _Source(value, origin(usable[name]), partial(load, usable[name]), is_foreign=True)
        return found

    def _from_module(self, name: str, module: str) -> Any:
        assert self._pick is not None, "a registry with a package needs `pick`"
        check_name(self.kind, name)
        with contained():
            return self._pick(name, importlib.import_module(f"{self._package}.{module}"))

    def _load_all(self) -> tuple[tuple[Plugin[T], ...], tuple[Broken, ...]]:
        if self._loaded is None:
            accepted: list[Plugin[T]] = []
            broken = list(self._find().broken)
            for name, source in self._sources().items():
                try:
                    value = self._check(name, source.load())
                    plugin = Plugin(name, value, source.origin, source.is_foreign)
                    self._check_conflicts(plugin, accepted)
                except Exception as error:
                    broken.append(Broken(self.kind, printable(name), source.origin, reason_of(error)))
                else:
                    accepted.append(plugin)
            self._loaded = tuple(accepted), tuple(broken)
        return self._loaded

    def _known_faults(self) -> tuple[Broken, ...]:
        """What is left out, as far as that is known without an import."""
        return self._loaded[1] if self._loaded is not None else self.misnamed()


def suggest(name: str, known: Iterable[str]) -> str:
    """Names like ``name`` as the part of a message, with a blank before it; empty if there is none.

    >>> suggest("jpgg", ["jpeg", "uqdm"])
    ' (did you mean jpeg?)'
    """
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (did you mean {', '.join(near)}?)" if near else ""


def _is_same_place(one: Any, other: Any) -> bool:
    """Whether two objects were defined under one name in one module, as when a notebook's cell is run twice."""
    names = ("__module__", "__qualname__")
    return [getattr(one, name, one) for name in names] == [getattr(other, name, other) for name in names]


# ---- entry points ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """The entry points of a group by name, those whose name cannot be used, and names that several packages claim."""

    usable: Mapping[str, EntryPoint]
    broken: tuple[Broken, ...] = ()
    clashes: Mapping[str, str] = field(default_factory=dict)
    """By name: why none of its claimants is used."""


def find(kind: str, group: str, own: Iterable[str] = ()) -> Found:
    """The entry points of a group; ``own`` are names that this package has taken, which no plug-in replaces."""
    taken = {name.casefold() for name in own}
    claims: dict[str, list[EntryPoint]] = {}
    broken: list[Broken] = []
    for entry_point in entry_points(group):
        try:
            check_name(kind, entry_point.name)
        except ValueError as error:
            broken.append(_broken(kind, entry_point, str(error)))
            continue
        if entry_point.name.casefold() in taken:
            broken.append(_broken(kind, entry_point, f"{entry_point.name!r} is taken; rename that entry point"))
            continue
        claimed = claims.setdefault(entry_point.name.casefold(), [])
        if all((one.name, one.value) != (entry_point.name, entry_point.value) for one in claimed):
            claimed.append(entry_point)
    usable: dict[str, EntryPoint] = {}
    clashes: dict[str, str] = {}
    for claimed in claims.values():
        ours = [one for one in claimed if _package(one) == "uqdm"]
        if len(claimed) == 1:
            usable[claimed[0].name] = claimed[0]
        elif len(ours) == 1:
            usable[ours[0].name] = ours[0]
            others = [one for one in claimed if one is not ours[0]]
            broken += [_broken(kind, one, f"{one.name!r} is taken by {origin(ours[0])}; rename it") for one in others]
        else:
            named = " and ".join(map(origin, claimed))
            reason = f"registered twice: {named}; uninstall one of them or rename its entry point"
            clashes |= {one.name: reason for one in claimed}
            broken += [_broken(kind, one, reason) for one in claimed]
    return Found(usable, tuple(broken), clashes)


def entry_points(group: str) -> list[EntryPoint]:
    """All entry points of a group; a package whose list does not parse does not affect the others."""
    try:
        return list(importlib.metadata.entry_points(group=group))
    except Exception:
        return [one for found in _by_package() for one in found if one.group == group]


def _by_package() -> Iterator[list[EntryPoint]]:
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        try:
            name = distribution.metadata["Name"]
            if name not in seen:  # the first on the path hides the others, as in importlib.metadata
                seen.add(name)
                yield list(distribution.entry_points)
        except Exception:  # its metadata are damaged: its plug-ins are unknown
            continue


def load(entry_point: EntryPoint) -> Any:
    """Imports the object of an entry point; raises an Exception for anything that the import raises."""
    if not EntryPoint.pattern.fullmatch(entry_point.value):
        raise ValueError("the value of its entry point is not MODULE:OBJECT")
    with contained():
        return entry_point.load()


def origin(entry_point: EntryPoint) -> str:
    """The object that an entry point names, and its package.

    >>> origin(EntryPoint("jpeg", "uqdm_baselines.jpeg:JPEG", "uqdm.codecs"))
    'uqdm_baselines.jpeg:JPEG of an unnamed package'
    """
    return f"{one_line(entry_point.value, 200)} of {_package(entry_point) or 'an unnamed package'}"


def _package(entry_point: EntryPoint) -> str:
    try:
        return printable(entry_point.dist.name) if entry_point.dist is not None else ""
    except Exception:  # its metadata are damaged
        return ""


def _broken(kind: str, entry_point: EntryPoint, reason: str) -> Broken:
    return Broken(kind, one_line(entry_point.name, LONGEST_NAME), origin(entry_point), one_line(reason, REASON_LENGTH))
