"""From a text to the environment that it names."""

from __future__ import annotations

import os
import re

from uqdm.environments.conda import CondaEnvironment
from uqdm.environments.contract import Environment
from uqdm.environments.prefix import Prefix, canonical_prefix
from uqdm.environments.venv import VenvEnvironment
from uqdm.paths import absolute_path, absolute_text

PARAMETER = "environment"
"""The name of the parameter by which a codec takes the text of its environment."""
_LOCK = ".txt"
_CONDA = (".yaml", ".yml")


def environment(text: str) -> Environment:
    """The environment that a text names.

    The text is the path of a lock file of pip (``.txt``) or of a file of conda (``.yaml``, ``.yml``), or else a command
    that enters an environment; an empty one leaves commands as they are. Raises ValueError for a file that is absent or
    malformed, and for quotes that do not match.

    >>> environment("conda run -n codecs --no-capture-output").command(["python", "host.py"])
    ['conda', 'run', '-n', 'codecs', '--no-capture-output', 'python', 'host.py']
    """
    if not _names_file(text):
        return Prefix(text)
    file = absolute_path(text, PARAMETER)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ValueError(f"environment {file}: {error.strerror}; name an existing file, or a command") from error
    return VenvEnvironment(file, content) if file.suffix == _LOCK else CondaEnvironment(file, content)


def canonical_text(text: str) -> str:
    """A text that names the same environment in any working directory; for :class:`~uqdm.codec.Parameter`.

    >>> canonical_text("docker run -i --rm IMAGE")
    'docker run -i --rm IMAGE'
    """
    return absolute_text(text) if _names_file(text) else canonical_prefix(text)


def _names_file(text: str) -> bool:
    """Whether a text is the path of a file, which may have blanks if it exists."""
    if not text.endswith((_LOCK, *_CONDA)):
        return False
    return re.search(r"\s", text) is None or os.path.isfile(os.path.expanduser(text))
