"""The environments that codecs of a run need made from files, by the parameter ``environment`` of their settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from uqdm.bench.run.codec_settings import CodecSetting, Request, format_value
from uqdm.bench.run.sweeps import settings_of
from uqdm.codec import Codec, UnknownCodecError, check_parameters, codec_class
from uqdm.environments import PARAMETER, MadeEnvironment, environment
from uqdm.environments.hashes import words_sha256


def environments_of(requests: Iterable[Request]) -> list[MadeEnvironment]:
    """The environments that settings of requests need, each once, in their order; those of commands are left out.

    Raises :class:`~uqdm.codec.UnknownCodecError`, what a wrong list or range of values raises, and ValueError for a
    file that is absent or malformed. Codecs that do not load are left out.
    """
    found: dict[str, MadeEnvironment] = {}
    for request in requests:
        codec = _class_with_environments(request.name)
        if codec is None:
            continue
        for parameters in _listed(codec, request):
            made = _environment(codec, parameters)
            if made is not None:
                found.setdefault(str(made.folder), made)
    return list(found.values())


def identity_of_setting(one: CodecSetting) -> str:
    """Codec, setting and version, or why it cannot run: a change of this text makes the workflow evaluate again.

    The version of a codec in an environment that is made from a file is unknown until it is made. In its place stand
    the identity of the environment and a hash of the parameters and of the files that they name by path, so that the
    text is the same before and afterwards.
    """
    codec = _class_with_environments(one.name)
    made = None if codec is None else _environment(codec, one.parameters)
    if codec is None or made is None:
        return f"{one.name}:{one.setting} {one.missing or one.version}"
    values = check_parameters(codec, one.parameters)
    setting = ",".join(f"{key}={format_value(value)}" for key, value in values.items())
    target = "" if one.target is None else f"@{one.target.text}"
    words = [word for value in values.values() if isinstance(value, str) for word in _words(value)]
    return f"{one.name}:{setting}{target} {made.identity} sha256:{words_sha256(words)[:12]}"


def _class_with_environments(name: str) -> type[Codec] | None:
    """The codec's class, if it has the parameter."""
    try:
        codec = codec_class(name)
    except UnknownCodecError:
        raise
    except Exception:  # the request reports it
        return None
    return codec if any(one.name == PARAMETER for one in codec.parameters) else None


def _listed(codec: type[Codec], request: Request) -> Iterator[Mapping[str, Any]]:
    if request.parameters is None:
        yield from codec.sweep
    else:
        yield from settings_of(request.name, request.parameters, codec.parameters)


def _environment(codec: type[Codec], parameters: Mapping[str, Any]) -> MadeEnvironment | None:
    """The environment of a setting, if it is made from a file; its other parameters are not checked."""
    named = {name: value for name, value in parameters.items() if name == PARAMETER}
    found = environment(check_parameters(codec, named)[PARAMETER] or "")
    return found if isinstance(found, MadeEnvironment) else None


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # no command
        return [text]
