"""Codecs and settings to evaluate, read from text or configuration and checked before work starts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from uqdm.bench.checked_calls import MeasurementError, setting_of, version_of
from uqdm.bench.run.labels import check_label, check_labels
from uqdm.bench.run.search_values import SearchValues, named_ranges, range_values, usual_values
from uqdm.bench.run.setting_families import AT
from uqdm.bench.run.sweeps import combinations, settings_of
from uqdm.bench.run.targets import FORMS, Target, split_target, targets_of
from uqdm.codec import LABEL, TARGET, Codec, CodecUnavailableError, ParameterError, UnknownCodecError, codec_class
from uqdm.plugins import contained, reason_of
from uqdm.text import one_line

_OF_THE_SETTING = (ValueError, LookupError, OSError)
"""What a codec raises for a wrong parameter, or a file that one names; other errors are faults of the codec."""


@dataclass(frozen=True)
class Request:
    """A codec by name, at one setting, or at those that :func:`~uqdm.bench.run.sweeps.settings_of` reads in the texts.

    ``parameters`` is None for all settings of its class's ``sweep``. ``label`` names its curve in plots and tables, and
    changes nothing that is measured. With a ``target``, such as ``bpp=0.5``, the setting is searched for; its value may
    be a list or a range, too (:func:`~uqdm.bench.run.targets.targets_of`).
    """

    name: str
    parameters: Mapping[str, Any] | None = None
    label: str | None = None
    target: str | None = None


def requests_to_check(name: str) -> list[Request]:
    """The settings of a codec that ``uqdm doctor`` checks, if nobody names any.

    >>> requests_to_check("png")
    [Request(name='png', parameters=None, label=None, target=None)]
    """
    try:
        settings = codec_class(name).check_sweep
    except Exception:  # of a broken codec, which resolve() reports
        settings = None
    return [Request(name)] if settings is None else [Request(name, parameters) for parameters in settings]


TARGETS_JOINED_BY = "; "
"""Between the targets of one setting that several searches found."""


@dataclass(frozen=True)
class MeanFound:
    """The setting that the search for a target of the mean found: the columns of its rows that say so.

    ``point`` is the point of the progressive file that answers; None for other codecs, whose rows all have it.
    """

    target: str
    found_setting: str
    target_tries: int
    target_error: float
    point: str | None = None


@dataclass(frozen=True)
class CodecSetting:
    """A codec at one setting on this machine.

    ``missing`` says why it cannot run here; None if it can. ``broken`` says that the reason is a fault of the codec,
    which no installation would repair. ``version`` is None if the codec cannot run, or if it runs and its version
    breaks the contract; its images then fail. ``progressive`` says that its streams may have several points.

    With a ``target``, ``parameters`` are those that are not searched, and the text of the setting ends with the target.
    ``search`` has the values to try; None where the points of one file answer. ``mean_found`` says of an ordinary
    setting that a search for the mean found it.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    setting: str = ""
    version: str | None = None
    suffix: str = ".bin"
    holds_model: bool = False
    uses_gpu: bool = False
    ideal: bool = False
    progressive: bool = False
    label: str | None = None
    missing: str | None = None
    broken: bool = False
    target: Target | None = None
    search: SearchValues | None = None
    mean_found: MeanFound | None = None

    def at(self, index: int) -> CodecSetting:
        """The codec at the value of that place of its search, with a setting that is its own in this process."""
        assert self.search is not None
        parameters = {**self.parameters, **self.search.at(index)}
        return replace(self, parameters=parameters, setting=f"{self.setting},{index}", target=None, search=None)


def parse_request(text: str) -> Request:
    """Reads ``NAME`` or ``NAME:key=value,...``, each with ``@TARGET``; a part without ``=`` continues the value before.

    The key ``label`` is the label of the request. Alone, it names the settings of the sweep.

    >>> parse_request("jpeg2000:layers=20,10,5").parameters
    {'layers': '20,10,5'}
    >>> parse_request("jpeg:label=ours")
    Request(name='jpeg', parameters=None, label='ours', target=None)
    >>> parse_request("jpeg:label=ours@bpp=0.5|1")
    Request(name='jpeg', parameters=None, label='ours', target='bpp=0.5|1')
    """
    rest, target = split_target(text)
    name, colon, settings = rest.partition(":")
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
            raise ParameterError(
                f"codec {text!r}: expected NAME or NAME:key=value,..., as in jpeg:quality=50 or jpeg:quality=10..90:10"
            )
        else:
            parameters[key] += f",{part}"
    if not name:
        raise ParameterError(f"codec {text!r}: the name is missing; expected NAME or NAME:key=value,...")
    if target is not None:
        if TARGET in parameters:
            raise ParameterError(f"codec {text!r}: has two targets; leave one out")
        parameters[TARGET] = target
    return _request(name, parameters if colon or parameters else None)


def _request(name: str, parameters: Mapping[str, Any] | None) -> Request:
    """The request of a codec at parameters, some of which may be its label and its target."""
    if parameters is None or not {LABEL, TARGET} & set(parameters):
        return Request(name, parameters)
    others = {key: value for key, value in parameters.items() if key not in (LABEL, TARGET)}
    label = check_label(name, parameters[LABEL]) if LABEL in parameters else None
    target = parameters.get(TARGET)
    if TARGET in parameters and not isinstance(target, str):
        raise ParameterError(f"codec {name}: {TARGET}={target!r}: expected a condition as text, such as {FORMS}")
    return Request(name, others or None, label, target)


def requests_from_mapping(codecs: Mapping[str, Any]) -> list[Request]:
    """Reads ``{name: null | {key: value} | [{key: value}, ...]}``, as in the configuration; null is the sweep.

    A value may be a list of values; each gives a request. The key ``label`` is the label of the request. Alone, it
    names the settings of the sweep. The key ``target`` is what the setting is searched for.

    >>> requests_from_mapping({"png": None, "jpeg": {"quality": [10, 20], "label": "ours"}})[1:]  # doctest: +ELLIPSIS
    [Request(name='jpeg', parameters={'quality': 10}, label='ours', target=None), Request(name='jpeg', ...
    >>> [one.target for one in requests_from_mapping({"jpeg": {"target": ["bpp=0.5", "bpp=1"]}})]
    ['bpp=0.5', 'bpp=1']
    """
    requests = []
    for name, settings in codecs.items():
        if not isinstance(name, str):
            raise ParameterError(f"codec {name!r}: a name is text; write it in quotes")
        listed = settings if isinstance(settings, list) else [settings]
        if not listed or not all(one is None or isinstance(one, Mapping) for one in listed):
            raise ParameterError(f"codec {name}: {settings!r} is not null, a mapping of parameters, or a list of them")
        for one in listed:
            requests += [Request(name)] if one is None else [_request(name, each) for each in _listed(name, one)]
    return requests


def _listed(codec: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The combinations of the lists among the values of parameters."""
    values = {name: value if isinstance(value, list) else [value] for name, value in parameters.items()}
    empty = next((name for name, value in values.items() if not value), None)
    if empty is not None:
        raise ParameterError(f"codec {codec}: {empty}=[] has no values; name one, or leave {empty} out")
    return combinations(codec, values)


def format_request(request: Request) -> str:
    """The text that :func:`parse_request` reads.

    >>> format_request(Request("jpeg", {"quality": 50}))
    'jpeg:quality=50'
    >>> format_request(Request("jpeg", {"quality": "10..90"}, target="bpp=0.5"))
    'jpeg:quality=10..90@bpp=0.5'
    """
    label = {} if request.label is None else {LABEL: request.label}
    target = "" if request.target is None else AT + request.target
    if request.parameters is None and not label:
        return request.name + target
    values = {**(request.parameters or {}), **label}
    return f"{request.name}:" + ",".join(f"{key}={format_value(value)}" for key, value in values.items()) + target


def format_value(value: Any) -> str:
    """The text of a parameter's value, as in a codec's setting."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def resolve(requests: Iterable[Request]) -> dict[str, list[CodecSetting]]:
    """Checks every request and returns the settings of each codec in the order of the requests, without duplicates.

    Raises :class:`~uqdm.codec.UnknownCodecError`, and what a codec raises for a setting that was requested
    (:class:`~uqdm.codec.ParameterError`, or an error of a file that a parameter names), and what
    :func:`~uqdm.bench.run.labels.check_labels` raises. A codec that is known but cannot run here gives settings with
    ``missing`` set.
    """
    resolved: dict[str, dict[str, CodecSetting]] = {}
    for request in requests:
        settings = resolved.setdefault(request.name, {})
        for found in _codec_settings(request):
            codec_setting = replace(found, label=request.label)
            _check_same_label(codec_setting, settings.setdefault(codec_setting.setting, codec_setting))
    codecs = {name: list(settings.values()) for name, settings in resolved.items()}
    check_labels(codecs)
    return codecs


def _check_same_label(one: CodecSetting, other: CodecSetting) -> None:
    if one.label != other.label:
        labels = " and ".join("without a label" if each.label is None else repr(each.label) for each in (other, one))
        raise ParameterError(f"codec {one.name}: {one.setting!r} is requested twice, {labels}; request it once")


def _codec_settings(request: Request) -> list[CodecSetting]:
    wanted = format_request(replace(request, label=None)).partition(":")[2]
    try:
        codec = codec_class(request.name)
    except UnknownCodecError:
        raise
    except Exception as error:
        return [_left_out(request.name, {}, wanted, error)]
    if request.target is not None:
        return list(_to_reach(codec, request, targets_of(request.name, request.target)))
    return _listed_settings(codec, request)


def _listed_settings(codec: type[Codec], request: Request) -> list[CodecSetting]:
    """The settings that a request names, without its target."""
    if request.parameters is None:
        return [_codec_setting(codec, setting, is_asked_for=False) for setting in codec.sweep]
    settings = settings_of(request.name, request.parameters, codec.parameters)
    return [_codec_setting(codec, setting, is_asked_for=True) for setting in settings]


def _to_reach(codec: type[Codec], request: Request, targets: Iterable[Target]) -> Iterator[CodecSetting]:
    """The settings of a request with targets: those of a progressive codec, unless it names a range to search."""
    if codec.ideal:
        raise ParameterError(f"codec {codec.name}: an ideal codec makes no files that a target could be searched for")
    parameters = dict(request.parameters or {})
    ranges = named_ranges(codec, parameters)
    if codec.points is not Codec.points and not ranges:
        for one, target in itertools.product(_listed_settings(codec, request), targets):
            yield _with_target(one, target, one.setting)
        return
    fixed = {name: value for name, value in parameters.items() if name not in ranges}
    search = range_values(codec, ranges) if ranges else usual_values(codec, fixed)
    for one, target in itertools.product(settings_of(codec.name, fixed, codec.parameters), targets):
        yield _searched(codec, one, ranges, search, target)


def _searched(
    codec: type[Codec], fixed: Mapping[str, Any], ranges: Mapping[str, str], search: SearchValues, target: Target
) -> CodecSetting:
    """A codec with parameters that a search varies; both ends of it are checked."""
    ends = [_codec_setting(codec, {**fixed, **search.at(end)}, is_asked_for=True) for end in (-1, 0)]
    found = next((one for one in ends if one.missing is not None), ends[-1])
    held = {name: value for name, value in found.parameters.items() if name not in search.names}
    shown = ",".join(f"{name}={format_value(value)}" for name, value in {**held, **ranges}.items())
    return replace(_with_target(found, target, one_line(shown)), parameters=held, search=search)


def _with_target(codec_setting: CodecSetting, target: Target, shown: str) -> CodecSetting:
    """A setting whose text ends with the target. Each image has one point in it, also where its file has several."""
    setting = ",".join(filter(None, [shown, AT + target.text]))
    return replace(codec_setting, setting=setting, target=target, progressive=False)


def ordinary_setting(codec_setting: CodecSetting, index: int | None) -> CodecSetting:
    """The setting without the target of ``codec_setting``, at the value of that place if values are searched."""
    parameters = dict(codec_setting.parameters)
    if codec_setting.search is not None and index is not None:
        parameters |= codec_setting.search.at(index)
    return _codec_setting(codec_class(codec_setting.name), parameters, is_asked_for=True)


def _codec_setting(codec: Any, parameters: Mapping[str, Any], *, is_asked_for: bool) -> CodecSetting:
    """A codec at one setting.

    An error in a setting that was requested is raised; any other is why the setting is left out.
    """
    try:
        with contained():
            made = codec(**parameters)
            lack = codec.missing()
        setting, values, suffix = setting_of(made)
        version = None if lack else _version(made)
        with contained():
            progressive = bool(made.progressive)
    except Exception as error:
        if is_asked_for and isinstance(error, _OF_THE_SETTING):
            raise
        text = format_request(Request(codec.name, parameters)).partition(":")[2]
        return _left_out(codec.name, dict(parameters), one_line(text), error)
    return CodecSetting(
        codec.name,
        values,
        setting,
        version,
        suffix=suffix,
        holds_model=bool(codec.holds_model),
        uses_gpu=bool(made.uses_gpu),
        ideal=bool(codec.ideal),
        progressive=progressive,
        missing=one_line(f"codec {codec.name!r} cannot run here: {lack}") if lack else None,
    )


def _version(codec: Any) -> str | None:
    try:
        return version_of(codec)
    except MeasurementError:
        return None


def _left_out(name: str, parameters: dict[str, Any], setting: str, error: Exception) -> CodecSetting:
    """A codec setting that cannot run, with the codec's name in the reason."""
    is_missing = isinstance(error, CodecUnavailableError)
    reason = one_line(str(error)) if is_missing else reason_of(error)
    if name not in reason:
        reason = f"codec {name!r}: {reason}"
    return CodecSetting(name, parameters, setting, missing=reason, broken=not is_missing)
