"""Any program as a codec: two commands, one that encodes a picture file and one that decodes it again."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uqdm.codec import Codec, CodecUnavailableError, Parameter, ParameterError, StreamError, check_images
from uqdm.images import read_image
from uqdm.paths import absolute_text
from uqdm.text import one_line
from uqdm_baselines._pillow import MAX_PIXELS
from uqdm_baselines._process import ProgramError, call_folder, execute, run, tail

_HOW = "see docs/programs.md"
_VERSION_LENGTH = 200  # characters


def absolute_command(command: str) -> str:
    """A command with absolute paths for files named with a slash or a leading ``~``: programs run in another folder.

    This includes the part of an option after ``=``. A name without a slash is unchanged: a program on PATH, or a word.

    >>> absolute_command("cjxl {input} {output} --quality=90")
    'cjxl {input} {output} --quality=90'
    """
    try:
        words = shlex.split(command)
    except ValueError:  # reported with its name when the codec is constructed
        return command
    changed = [_absolute_word(word, is_program=place == 0) for place, word in enumerate(words)]
    return command if changed == words else " ".join(map(_quote, changed))


def _absolute_word(word: str, *, is_program: bool) -> str:
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    if value.startswith("~") or ("/" in value and (is_program or os.path.exists(value))):
        return f"{option}{equals}{absolute_text(value)}"
    return word


def _quote(word: str) -> str:
    """As :func:`shlex.quote`, but leaves braces unquoted: their values are inserted later."""
    return word if re.fullmatch(r"[\w@%+=:,./{}~-]+", word, re.ASCII) else shlex.quote(word)


def _command_parameter(name: str, text: str) -> Parameter:
    return Parameter(name, str, "", text, canonical=absolute_command)


class Program(Codec):
    """Runs an encoder and a decoder as processes, on picture files in a separate temporary folder.

    In a command ``{input}`` and ``{output}`` are replaced by the two files and ``{quality}`` by the parameter of that
    name. A command is split into arguments as a shell would split it, but no shell runs it; the values are
    inserted afterwards, so a value never becomes two arguments. Encode and decode times include the start of the
    process and the picture file. Configure the program to use one thread.

    >>> codec = Program(encode="cp {input} {output}", decode="cp {input} {output}", suffix=".png")
    >>> codec.decode(codec.encode([np.zeros((4, 6, 3), np.uint8)]))[0].shape
    (4, 6, 3)
    """

    name = "program"
    summary = "any program, by an encode and a decode command of your own (docs/programs.md)"
    parameters = (
        _command_parameter("encode", "command that reads the picture {input} and writes the stream {output}"),
        _command_parameter("decode", "command that reads the stream {input} and writes the picture {output}"),
        Parameter("quality", str, "", "value of {quality} in a command", sweeps=True),
        Parameter("suffix", str, ".bin", "file name suffix of a stream"),
        Parameter("picture", str, ".png", "format of the picture files", choices=(".png", ".ppm")),
        _command_parameter("version", "command that prints the program's version"),
        Parameter("timeout_s", float, 60.0, "limit of one call, seconds", minimum=0.01, maximum=86400),
        Parameter("output_mib", int, 512, "limit of a file that a program writes, MiB", minimum=1, maximum=65536),
    )

    def __init__(self, **values: Any) -> None:
        if type(values.get("quality")) in (int, float):  # as YAML reads it
            values["quality"] = str(values["quality"])
        super().__init__(**values)
        self.suffix = self.values["suffix"]
        self._check_values()
        self._encode_command = _split("encode", self.values["encode"])
        self._decode_command = _split("decode", self.values["decode"])
        self._version_command = _split("version", self.values["version"])

    @property
    def version(self) -> str:
        """The version that the version command prints, and the hash of each program file (and script).

        Libraries that a program loads are not in the hash: they appear only in the output of its version command.
        Raises :class:`~uqdm.codec.CodecUnavailableError` if a program is missing.
        """
        parts = [self._printed_version()] if self._version_command else []
        files = [*self._files(self._encode_command), *self._files(self._decode_command)]
        parts += [
            f"{path.name} sha256:{file_sha256(path, path.stat().st_mtime_ns)[:12]}" for path in dict.fromkeys(files)
        ]
        return ", ".join(parts)

    @functools.cached_property
    def black_pixel_bits(self) -> int | None:
        """See :attr:`uqdm.codec.Codec.black_pixel_bits`; None for a program that takes no picture of one pixel."""
        try:
            return 8 * len(self._encode(np.zeros((1, 1, 3), np.uint8)))
        except ProgramError:
            return None

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """Encodes each image, uint8 [H, W, 3], in a separate call; raises :class:`ProgramError` if one fails."""
        check_images(images)
        return [self._encode(image) for image in images]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """Decodes each stream in a separate call; raises StreamError if one fails."""
        return [self._decode(stream) for stream in streams]

    def _encode(self, image_uint8: np.ndarray) -> bytes:
        def write(path: Path) -> None:
            Image.fromarray(image_uint8).save(path, compress_level=1)

        return self._call(self._encode_command, self.values["picture"], write, self.suffix)

    def _decode(self, stream: bytes) -> np.ndarray:
        def write(path: Path) -> None:
            path.write_bytes(stream)

        try:
            return _pixels(self._call(self._decode_command, self.suffix, write, self.values["picture"]))
        except (ProgramError, OSError, SyntaxError, ValueError) as error:
            raise StreamError(f"{self.name}: {error}") from error

    def _call(
        self, command: Sequence[str], input_suffix: str, write: Callable[[Path], None], output_suffix: str
    ) -> bytes:
        """Runs a command in a temporary folder, and returns the file that it wrote."""
        self._files(command)  # raises an error for a missing file
        most_bytes = self.values["output_mib"] << 20
        with call_folder() as folder:
            files = {"input": folder.path / f"input{input_suffix}", "output": folder.path / f"output{output_suffix}"}
            write(files["input"])
            arguments = substitute(command, {**files, "quality": self.values["quality"]})
            printed = run(arguments, folder, self.values["timeout_s"], most_bytes)
            try:
                output = folder.read(files["output"].name, most_bytes)
            except ProgramError as error:
                raise ProgramError(f"{arguments[0]}: {error}: {tail(printed)}") from error
            if output is None:
                raise ProgramError(f"{arguments[0]} ended well but wrote no {files['output'].name}: {tail(printed)}")
            return output

    def _printed_version(self) -> str:
        """The first line of the version command's output with a number such as 2.5, whatever its exit status."""
        self._files(self._version_command)
        try:
            with call_folder() as folder:
                _, printed = execute(self._version_command, folder, self.values["timeout_s"])
        except ProgramError as error:
            raise CodecUnavailableError(f"codec {self.name!r}: {error}") from error
        lines = [one_line(line, _VERSION_LENGTH) for line in printed.splitlines() if re.search(r"\d\.\d", line)]
        if not lines:
            raise CodecUnavailableError(f"codec {self.name!r}: {self.values['version']!r} prints no version")
        return lines[0]

    def _files(self, command: Sequence[str]) -> list[Path]:
        """The program of a command, and other files named by full path (a script, a model)."""
        if not command:
            raise CodecUnavailableError(f"codec {self.name!r} has no program; set encode and decode, {_HOW}")
        program = shutil.which(command[0])
        if program is None:
            raise CodecUnavailableError(f"codec {self.name!r}: no program {command[0]!r} on PATH; install it, {_HOW}")
        others = [Path(argument) for argument in command[1:] if os.path.isabs(argument)]
        return [Path(program), *(path for path in others if path.is_file())]

    def _check_values(self) -> None:
        values = self.values
        if bool(values["encode"]) != bool(values["decode"]):
            raise ParameterError(f"{self.name}: set both encode and decode, {_HOW}")
        if not re.fullmatch(r"\.[A-Za-z0-9._-]+", values["suffix"]):
            raise ParameterError(f"suffix={values['suffix']!r}: expected a dot and letters, as in .jxl")
        for name, value in values.items():
            if any("=" in part for part in str(value).split(",")[1:]):
                raise ParameterError(f"{name}={value!r}: a comma with = after it would read as another parameter")
        for name in ("encode", "decode"):
            _check_places(name, values[name], bool(values["quality"]))
        if values["quality"] and values["encode"] and "{quality}" not in values["encode"] + values["decode"]:
            raise ParameterError(f"quality={values['quality']!r}: no command has {{quality}}, so nothing would use it")


def with_defaults(parameters: Sequence[Parameter], **defaults: Any) -> tuple[Parameter, ...]:
    """Parameters with other defaults, for a program as a codec with its own name.

    >>> with_defaults(Program.parameters, suffix=".jxl")[3].default
    '.jxl'
    """
    unknown = set(defaults) - {parameter.name for parameter in parameters}
    if unknown:
        raise ParameterError(f"no parameter {', '.join(sorted(unknown))} to set a default for")
    return tuple(replace(p, default=p.check(defaults[p.name])) if p.name in defaults else p for p in parameters)


def substitute(command: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """Replaces placeholders in a command's arguments; a value is never split or searched for placeholders.

    >>> substitute(["cjxl", "{input}", "--quality={quality}"], {"input": "a b.png", "quality": "{input}"})
    ['cjxl', 'a b.png', '--quality={input}']
    """
    return [_PLACE.sub(lambda place: str(values[place[1]]), argument) for argument in command]


_PLACE = re.compile(r"\{(\w+)\}")


def _split(name: str, command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ParameterError(f"{name}={command!r}: {error}") from error


def _check_places(name: str, command: str, has_quality: bool) -> None:
    found = set(_PLACE.findall(command))
    if command and not {"input", "output"} <= found:
        raise ParameterError(f"{name}={command!r}: {{input}} and {{output}} must both be in it")
    unknown = found - {"input", "output", "quality"}
    if unknown:
        raise ParameterError(f"{name}={command!r}: {{{min(unknown)}}} is not one of {{input}}, {{output}}, {{quality}}")
    if "quality" in found and not has_quality:
        raise ParameterError(f"{name}={command!r}: it asks for {{quality}}; set quality too")


@functools.lru_cache(maxsize=64)
def file_sha256(path: Path, modified_ns: int) -> str:
    """Digest of a file, kept as long as it was last modified at that time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pixels(picture: bytes) -> np.ndarray:
    """Eight-bit pixels of a PNG or PPM file, uint8 [H, W, 3], by the rule for images (docs/data-sets.md).

    Palettes and grey pictures are converted to the colours that they show. A picture that the rule refuses, for
    instance with more than eight bits, raises ValueError.
    """
    if not picture.startswith((b"\x89PNG", b"P")):
        raise ValueError(f"cannot identify the picture that the program wrote ({len(picture)} bytes) as PNG or PPM")
    return read_image(picture, name="the picture that the program wrote", max_pixels=MAX_PIXELS)
