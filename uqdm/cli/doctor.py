"""``uqdm doctor``: tests every codec on this machine, finds weights of metrics, and checks the machine itself.

It says how to get missing parts, and lists plug-ins of other packages that are left out, with the reason.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from uqdm.cli import completion
from uqdm.cli.json_output import plain, print_json, without_user

if TYPE_CHECKING:
    from uqdm.bench.evaluation.selftest import Check
    from uqdm.bench.run.codec_settings import Request

WORKS, ABSENT, FAILS, SKIPPED = "works", "not here", "FAILS", "SKIPPED"
FID_WEIGHTS = "fid-weights"
PERCEPTUAL_WEIGHTS = "perceptual-weights"
_COLOURS = {WORKS: "green", ABSENT: "yellow", FAILS: "red", SKIPPED: "red"}


@dataclass(frozen=True)
class Diagnosis:
    """One codec, weights of metrics, a property of the machine, or a plug-in that is left out.

    It has a version, whether it works, the reason and remedy if not, and the checks that ran.
    """

    codec: str
    status: str
    version: str = ""
    reason: str = ""
    checks: tuple[Check, ...] = ()


def diagnose(name: str, requests: list[Request]) -> Diagnosis:
    """Tests one codec at the requested settings. A codec that cannot run here is not a failure."""
    from uqdm.bench.evaluation.selftest import self_test
    from uqdm.bench.run.codec_settings import resolve
    from uqdm.codec import ParameterError
    from uqdm.plugins import contained, reason_of

    try:
        codec_settings = resolve(requests)[name]
        missing = [codec_setting for codec_setting in codec_settings if codec_setting.missing is not None]
        if not codec_settings:
            return Diagnosis(name, ABSENT, reason="no settings to test it at")
        if missing:
            return Diagnosis(name, FAILS if missing[0].broken else ABSENT, reason=missing[0].missing or "")
        with contained():
            checks = tuple(self_test(codec_settings))
    except ParameterError:
        raise  # an error in the user's request
    except Exception as error:  # one broken codec must not hide the others
        return Diagnosis(name, FAILS, reason=reason_of(error))
    failed = [f"{check.name}: {check.detail}" for check in checks if not check.ok]
    ideal = " (ideal, no file)" if codec_settings[0].ideal else ""
    version = f"{codec_settings[0].version or ''}{ideal}"
    return Diagnosis(name, FAILS if failed else WORKS, version, "; ".join(failed), checks)


def diagnose_weights() -> Diagnosis:
    """Finds the weights of FID and KID on this machine, and reads them; downloads nothing."""
    from uqdm.bench.features.weight_files import WeightsError
    from uqdm.bench.features.weights import find_weights, remedy

    try:
        weights = find_weights()
    except WeightsError as error:  # a file named in the environment has wrong content
        return Diagnosis(FID_WEIGHTS, FAILS, reason=str(error))
    if weights is None:
        return Diagnosis(FID_WEIGHTS, ABSENT, reason=f"scoring tries to fetch them (80 MB). {remedy()}")
    return Diagnosis(FID_WEIGHTS, WORKS, f"{weights.sha256[:16]} from {weights.source}")


def diagnose_perceptual_weights() -> Diagnosis:
    """Finds the weights of LPIPS and DISTS on this machine; downloads nothing."""
    from uqdm.bench.features.perceptual_weights import ALEXNET, DISTS, VARIABLE, VGG16, missing
    from uqdm.places import cache_folder

    lack = missing(ALEXNET, VGG16, DISTS)
    if lack is None:
        place = os.environ.get(VARIABLE) or cache_folder()
        return Diagnosis(PERCEPTUAL_WEIGHTS, WORKS, f"LPIPS 0.1 and DISTS from {place}")
    tried = "" if os.environ.get(VARIABLE) else "runs try to fetch them (64 MB). "
    return Diagnosis(PERCEPTUAL_WEIGHTS, ABSENT, reason=f"{tried}{lack}")


def left_out() -> list[Diagnosis]:
    """Plug-ins (codecs, metrics, data sets, plots) that are left out, and why each."""
    from uqdm.bench.datasets import broken_datasets
    from uqdm.bench.metrics import broken_metrics
    from uqdm.bench.plots import broken_plots
    from uqdm.codec import broken_codecs, codec_names

    codecs = [one for one in broken_codecs() if one.name not in codec_names()]
    broken = [*codecs, *broken_metrics(), *broken_datasets(), *broken_plots()]
    return [Diagnosis(one.name, SKIPPED, f"{one.kind} of {one.origin}", one.reason) for one in broken]


def diagnose_machine() -> Iterator[Diagnosis]:
    """Checks folders, shared memory and open files; without a folder for Ray nothing can be evaluated."""
    from uqdm.cli.machine_checks import NEEDED, machine_checks

    for name, problem in machine_checks():
        if problem is None:
            yield Diagnosis(name, WORKS)
        else:
            yield Diagnosis(name, FAILS if name == NEEDED else ABSENT, reason=problem)


def doctor(
    codec: Annotated[
        list[str] | None,
        typer.Argument(
            help="NAME, or NAME:key=value,... for one setting of high quality [every codec, at settings of seconds]",
            autocompletion=completion.codecs,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: also versions and the machine, without your name or home")
    ] = False,
) -> None:
    """Tests every codec: its version, whether its pictures come back correctly, or how to get it.

    Also checks the weights of FID, LPIPS and DISTS and the machine, and lists plug-ins that are left out, unless codecs
    are named. Exits 1 if an installed codec fails, or if Ray could not start here. A missing codec, or a plug-in that
    is left out, is not a failure.
    """
    found: list[Diagnosis] = []
    tests: list[Callable[[], Diagnosis]] = [partial(diagnose, *asked) for asked in _asked(codec or []).items()]
    for diagnosis in itertools.chain((test() for test in tests), () if codec else _others()):
        found.append(diagnosis)
        if not as_json:
            _print(diagnosis)
    if as_json:
        _print_json(found, len(tests))
    else:
        counts = {status: sum(each.status == status for each in found) for status in _COLOURS}
        shown = [f"{count} {status}" for status, count in counts.items() if count or status != SKIPPED]
        typer.echo(", ".join(shown))
    if any(each.status == FAILS for each in found):
        raise typer.Exit(1)


def _print_json(found: list[Diagnosis], n_codecs: int) -> None:
    """Prints everything that a report of a fault needs, without the user's name and home, as it may be published."""
    from uqdm.cli.installation import installation

    listed = [{"name": each.codec, **{k: v for k, v in asdict(each).items() if k != "codec"}} for each in found]
    print_json(without_user(plain({**installation(), "codecs": listed[:n_codecs], "others": listed[n_codecs:]})))


def _others() -> Iterator[Diagnosis]:
    yield diagnose_weights()
    yield diagnose_perceptual_weights()
    yield from diagnose_machine()
    yield from left_out()


def _asked(texts: list[str]) -> dict[str, list[Request]]:
    from uqdm.bench.run.codec_settings import Request, parse_request, requests_to_check
    from uqdm.codec import codec_names

    asked: dict[str, list[Request]] = {}
    for request in map(parse_request, texts or codec_names()):
        named = Request(request.name) != request and request.name in codec_names()
        asked.setdefault(request.name, []).extend([request] if named else requests_to_check(request.name))
    unknown = set(asked) - set(codec_names())
    if unknown:
        from uqdm.codec import codec_class

        codec_class(min(unknown))  # raises, and suggests
    return asked


def _print(diagnosis: Diagnosis) -> None:
    from uqdm.cli.folding import show_pieces, terminal_width

    show_pieces(_pieces(diagnosis), terminal_width(), further=" " * 11)


def _pieces(diagnosis: Diagnosis) -> Iterator[tuple[str, str | None]]:
    yield f"{diagnosis.status:<10}", _COLOURS[diagnosis.status]
    yield f"{diagnosis.codec:<22}", None
    yield f" {diagnosis.version}", "bright_black"
    if diagnosis.checks:
        yield f"  ({sum(check.ok for check in diagnosis.checks)} of {len(diagnosis.checks)} checks)", "bright_black"
    if diagnosis.reason:
        yield f"  {diagnosis.reason}", _COLOURS[diagnosis.status]
