"""Codecs inside a parameter of another codec, as text: ``NAME``, or ``NAME:key=value;key=value``.

A value in parentheses may itself name a codec: ``refine:codec=(bpg:quality=40);steps=4``. Commas separate the
parameters of the outer codec, so none may be in the text.
"""

from __future__ import annotations

from uqdm.codec import Codec, CodecUnavailableError, ParameterError, codec_class, get_codec, value_text


def parse(text: str) -> tuple[str, dict[str, str]]:
    """The name of a codec and its parameters. Raises :class:`uqdm.codec.ParameterError`.

    >>> parse("bpg:quality=40;preset=fast")
    ('bpg', {'quality': '40', 'preset': 'fast'})
    >>> parse("bpg;quality=40")
    ('bpg', {'quality': '40'})
    >>> parse("refine:codec=(bpg:quality=40;preset=fast);steps=4")
    ('refine', {'codec': 'bpg:quality=40;preset=fast', 'steps': '4'})
    """
    first, *rest = _split(text)
    name, _, setting = first.partition(":")
    pairs = [part.partition("=") for part in (setting, *rest) if part]
    if not all(equals for _, equals, _ in pairs):
        raise ParameterError(f"codec={text!r}: expected NAME or NAME:key=value;key=value")
    return name, {key: _bare(value) for key, _, value in pairs}


def written(name: str, parameters: dict[str, str]) -> str:
    """The text of a codec, the reverse of :func:`parse`.

    >>> written("refine", {"codec": "bpg:quality=40;preset=fast", "steps": "4"})
    'refine:codec=(bpg:quality=40;preset=fast);steps=4'
    """
    pairs = ";".join(
        f"{key}=({value})" if set(value) & set(":;=") else f"{key}={value}" for key, value in parameters.items()
    )
    return f"{name}:{pairs}" if pairs else name


def text_of(codec: Codec) -> str:
    """The text of a codec with all its parameters.

    >>> text_of(get_codec("png"))
    'png'
    """
    return written(codec.name, {key: value_text(value) for key, value in codec.values.items()})


def canonical(text: str) -> str:
    """The same with the canonical spelling of each parameter, such as a path."""
    name, parameters = parse(text)
    try:
        known = {one.name: one for one in codec_class(name).parameters if one.canonical is not None}
    except (LookupError, CodecUnavailableError):  # reported when the codec is constructed
        return text
    changed = {key: str(known[key].check(value)) if key in known else value for key, value in parameters.items()}
    return text if changed == parameters else written(name, changed)


def open_codec(text: str) -> Codec:
    """The codec that a text names."""
    name, parameters = parse(text)
    return get_codec(name, **parameters)


def version_of(text: str) -> str:
    """The version of the codec that a text names, without constructing it where the codec allows that."""
    name, parameters = parse(text)
    return codec_class(name).version_of(**parameters)


def _split(text: str) -> list[str]:
    """Parts between semicolons that are not inside parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == ";" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise ParameterError(f"codec={text!r}: a parenthesis has no partner")
    return parts


def _bare(value: str) -> str:
    return value[1:-1] if value.startswith("(") and value.endswith(")") else value
