"""What to evaluate: codecs with their settings, read from text or configuration, checked before work starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from uqdm.codec import CodecUnavailableError, ParameterError, codec_class


@dataclass(frozen=True)
class Request:
    """A codec by name, at one setting; ``parameters`` is None where its class's ``sweep`` is wanted."""

    name: str
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Candidate:
    """A codec at one setting, as it stands on this machine. ``missing`` says why it cannot run; None if it can."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    setting: str = ""
    version: str | None = None
    suffix: str = ".bin"
    holds_model: bool = False
    uses_gpu: bool = False
    ideal: bool = False
    missing: str | None = None


def parse_request(text: str) -> Request:
    """Reads ``NAME`` or ``NAME:key=value,...``; a part without ``=`` goes on with the value before it.

    >>> parse_request("jpeg2000:layers=20,10,5").parameters
    {'layers': '20,10,5'}
    >>> parse_request("jpeg")
    Request(name='jpeg', parameters=None)
    """
    name, colon, settings = text.partition(":")
    parameters: dict[str, str] = {}
    key = None
    for part in settings.split(",") if settings else ():
        if "=" in part:
            key, _, value = part.partition("=")
            if not key or key in parameters:
                raise ParameterError(
                    f"codec {text!r}: {'a parameter has no name' if not key else f'{key} is set twice'}"
                )
            parameters[key] = value
        elif key is None:
            raise ParameterError(f"codec {text!r}: expected NAME or NAME:key=value,..., as in jpeg:quality=50")
        else:
            parameters[key] += f",{part}"
    if not name:
        raise ParameterError(f"codec {text!r}: the name is missing; expected NAME or NAME:key=value,...")
    return Request(name, parameters if colon else None)


def requests_from_mapping(codecs: Mapping[str, Any]) -> list[Request]:
    """Reads ``{name: null | {key: value} | [{key: value}, ...]}``, as in the configuration; null is the sweep.

    >>> requests_from_mapping({"png": None, "jpeg": [{"quality": 10}, {"quality": 20}]})[1]
    Request(name='jpeg', parameters={'quality': 10})
    """
    requests = []
    for name, settings in codecs.items():
        listed = settings if isinstance(settings, list) else [settings]
        if not listed or not all(one is None or isinstance(one, Mapping) for one in listed):
            raise ParameterError(f"codec {name}: {settings!r} is not null, a mapping of parameters, or a list of them")
        requests += [Request(name, one) for one in listed]
    return requests


def format_request(request: Request) -> str:
    """The text that :func:`parse_request` reads.

    >>> format_request(Request("jpeg", {"quality": 50}))
    'jpeg:quality=50'
    """
    if request.parameters is None:
        return request.name
    return f"{request.name}:" + ",".join(f"{key}={format_value(value)}" for key, value in request.parameters.items())


def format_value(value: Any) -> str:
    """The text of a parameter's value, as in a codec's setting."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def resolve(requests: Iterable[Request]) -> dict[str, list[Candidate]]:
    """Checks every request and returns the settings of each codec in the order asked for, without repeats.

    Raises :class:`~uqdm.codec.UnknownCodecError` and :class:`~uqdm.codec.ParameterError`; a codec that is known but
    cannot run here is a candidate with ``missing`` set.
    """
    resolved: dict[str, list[Candidate]] = {}
    for request in requests:
        settings = resolved.setdefault(request.name, [])
        for candidate in _candidates(request):
            if all(candidate.setting != other.setting for other in settings):
                settings.append(candidate)
    return resolved


def _candidates(request: Request) -> list[Candidate]:
    wanted = format_request(request).partition(":")[2]
    try:
        codec = codec_class(request.name)
    except CodecUnavailableError as error:
        return [Candidate(request.name, setting=wanted, missing=str(error))]
    settings = codec.sweep if request.parameters is None else (request.parameters,)
    return [_candidate(codec, setting) for setting in settings]


def _candidate(codec: Any, parameters: Mapping[str, Any]) -> Candidate:
    try:
        made = codec(**parameters)
        lack = codec.missing()
        version = None if lack else made.version
    except CodecUnavailableError as error:
        setting = format_request(Request(codec.name, parameters)).partition(":")[2]
        return Candidate(codec.name, dict(parameters), setting, missing=str(error))
    return Candidate(
        codec.name,
        dict(made.values),
        made.setting,
        version,
        suffix=made.suffix,
        holds_model=codec.holds_model,
        uses_gpu=codec.uses_gpu,
        ideal=codec.ideal,
        missing=f"codec {codec.name!r} cannot run here: {lack}" if lack else None,
    )
