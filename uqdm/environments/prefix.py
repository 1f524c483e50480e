"""Environments that a command enters: ``conda run -n NAME``, ``docker run -i --rm IMAGE``, the Python of a venv."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from uqdm.environments.contract import Environment, Report, variables_without_python
from uqdm.environments.hashes import split_option, words_sha256
from uqdm.paths import absolute_text
from uqdm.text import one_line

IMAGES = (".sif", ".simg")
"""Suffixes of images of containers, which are files also without a slash in their names."""
_NAME_LENGTH = 80


class Prefix(Environment):
    """An environment that is entered by a command in front of each command; without words, this process's own.

    >>> Prefix("env LC_ALL=C").command(["python", "host.py"])
    ['env', 'LC_ALL=C', 'python', 'host.py']
    >>> Prefix("").identity
    ''
    """

    def __init__(self, text: str) -> None:
        try:
            self.words = shlex.split(text)
        except ValueError as error:
            raise ValueError(f"environment {text!r}: {error}") from error
        self.name = one_line(" ".join(map(_short, self.words)), _NAME_LENGTH)

    @property
    def identity(self) -> str:
        """The command, and a hash of its words and of the files that it names by path.

        Where these files lie has no part in it. What the command enters has none either, unless it is such a file.
        """
        return f"environment {self.name} sha256:{words_sha256(self.words, _is_path)[:12]}" if self.words else ""

    def missing(self) -> str | None:
        """The program, or an image of a container, that is not on this machine."""
        if not self.words:
            return None
        host, program = socket.gethostname(), self.words[0]
        if shutil.which(program) is None:
            return f"environment {self.name}: {host} has no program {program!r}; install it there, or name its path"
        for word in self.words[1:]:
            _, value = split_option(word)
            if value.endswith(IMAGES) and not os.path.isfile(value):
                return f"environment {self.name}: {host} has no file {value!r}; copy it there, or name its path"
        return None

    def make(self, report: Report = lambda line: None) -> None:
        """Does nothing: whoever set the command up has made the environment."""

    def command(self, words: Sequence[str]) -> list[str]:
        """The words after those of the command."""
        return [*self.words, *words]

    def variables(self) -> dict[str, str]:
        """Those of this process; with a command, without those that are for this Python."""
        return variables_without_python() if self.words else dict(os.environ)


def canonical_prefix(text: str) -> str:
    """A command with absolute paths in place of those of existing files, so that it means the same in any folder.

    >>> canonical_prefix("docker run -i --rm codec@sha256:12ab")
    'docker run -i --rm codec@sha256:12ab'
    """
    try:
        words = shlex.split(text)
    except ValueError:  # reported when the environment is used
        return text
    changed = [_absolute(word, is_program=place == 0) for place, word in enumerate(words)]
    return text if changed == words else shlex.join(changed)


def _absolute(word: str, *, is_program: bool) -> str:
    option, value = split_option(word)
    names_file = _is_path(value) and (is_program or os.path.exists(os.path.expanduser(value)))
    return f"{option}{absolute_text(value)}" if names_file else word


def _is_path(value: str) -> bool:
    return "/" in value or value.startswith("~") or value.endswith(IMAGES)


def _short(word: str) -> str:
    option, value = split_option(word)
    return f"{option}{Path(value).name}" if _is_path(value) and os.path.isfile(value) else word
