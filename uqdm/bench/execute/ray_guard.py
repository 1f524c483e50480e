"""Keeps other users out of a Ray that this process starts: loopback addresses only, and a token."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray._private.ray_constants
import ray._raylet

_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # "0": nodes have 127.0.0.1, as they do on those systems by default
_MODE, _TOKEN, _TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


@contextlib.contextmanager
def own_token(folder: Path) -> Iterator[None]:
    """While the block runs, a Ray that is started here requires a token of its own, a file in ``folder``.

    The file has mode 0600. Tokens and modes in the environment are for other clusters; they are restored afterwards.
    """
    path = folder / "token"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    with _environment({_MODE: "token", _TOKEN: None, _TOKEN_PATH: str(path)}):
        yield


@contextlib.contextmanager
def shared_token() -> Iterator[None]:
    """The same with a token in the environment, from which nodes that join take it; a token of the user is kept."""
    with _environment({_MODE: "token", _TOKEN: os.environ.get(_TOKEN) or secrets.token_hex(32)}):
        yield


@contextlib.contextmanager
def loopback_only() -> Iterator[None]:
    """While the block runs, a Ray that is started listens only at 127.0.0.1, with all its processes."""
    constants = ray._private.ray_constants
    before = constants.ENABLE_RAY_CLUSTER  # read from the environment when Ray was imported
    constants.ENABLE_RAY_CLUSTER = False
    try:
        with environment_variables({_LOOPBACK: "0"}):
            yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Sets environment variables that Ray's core in this process has read already."""
    with environment_variables(values):
        _read_again()
        yield
    _read_again()


@contextlib.contextmanager
def environment_variables(values: Mapping[str, str | None]) -> Iterator[None]:
    """While the block runs, environment variables have these values; None for none. They are restored afterwards."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _read_again() -> None:
    core: Any = ray._raylet  # its stubs lack these
    core.Config.initialize("")
    core.AuthenticationTokenLoader.instance().reset_cache()
