"""float32 arithmetic that does not depend on the caller's torch settings.

torch has settings of the process and of the thread: the default type and device of new tensors, autocast, the
precision of products, deterministic kernels, gradients. A model's identity, and the bytes that it codes, must not
depend on them. Everything that builds, digests, runs or trains a model does so inside :func:`float32_arithmetic`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")

_AUTOCAST_DEVICES = ("cpu", "cuda")
_EXACT = "ieee"
_INHERITED = "none"


@contextmanager
def float32_arithmetic() -> Iterator[None]:
    """Inside, torch has the settings of a new process, and computes float32 products at full precision.

    New tensors are float32 on the CPU; autocast, inference mode and deterministic kernels are off, gradients on; TF32
    and bfloat16 products are off. Afterwards all settings are restored. It is a decorator as well; for generator
    functions use :func:`each_in_float32`.

    Settings of the process hold for its other threads while any thread is inside: the first that enters changes them,
    the last that leaves restores them.
    """
    with ExitStack() as stack:
        stack.enter_context(_process_settings())
        _enter_thread_settings(stack)
        yield


def each_in_float32(function: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """Decorates a generator function: each item is computed inside :func:`float32_arithmetic`.

    Between items the settings are those of the caller.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        items = function(*args, **kwargs)
        while True:
            with float32_arithmetic():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    return wrapped


# ---- settings of the thread ---------------------------------------------------------------------------------


def _enter_thread_settings(stack: ExitStack) -> None:
    """Each is changed only if it differs: a device context makes every torch call slower."""
    if torch.get_default_device().type != "cpu":
        stack.enter_context(torch.device("cpu"))
    for kind in _AUTOCAST_DEVICES:
        if torch.is_autocast_enabled(kind):
            stack.enter_context(torch.autocast(kind, enabled=False))
    if torch.is_inference_mode_enabled():
        stack.enter_context(torch.inference_mode(mode=False))
    if not torch.is_grad_enabled():
        stack.enter_context(torch.enable_grad())


# ---- settings of the process --------------------------------------------------------------------------------

_lock = threading.Lock()
_inside = 0
_restore = ExitStack()
"""Restores the settings from before the first thread entered."""


@contextmanager
def _process_settings() -> Iterator[None]:
    global _inside, _restore
    with _lock:
        if _inside == 0:
            _restore = _changed()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore.close()


def _changed() -> ExitStack:
    """Changes the settings of the process; closing the returned stack restores them."""
    restore = ExitStack()
    restore.callback(torch.set_default_dtype, torch.get_default_dtype())
    torch.set_default_dtype(torch.float32)
    if torch.are_deterministic_algorithms_enabled():  # setting it, even to the same value, imports torch's compiler
        restore.callback(
            torch.use_deterministic_algorithms, True, warn_only=torch.is_deterministic_algorithms_warn_only_enabled()
        )
        torch.use_deterministic_algorithms(False)
    # Without these libraries convolutions sum in another order.
    libraries: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    for library in libraries:
        restore.callback(setattr, library, "enabled", library.enabled)
        library.enabled = True
    # cuDNN's benchmark mode chooses kernels by time, so a file's bytes would depend on it.
    restore.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    torch.backends.cudnn.benchmark = False
    _forbid_fewer_digits(restore)
    return restore


def _forbid_fewer_digits(restore: ExitStack) -> None:
    """Since torch 2.9 each kind of operation has its own setting, besides the older common ones."""
    operations = _operations()
    found = [operation.fp32_precision for operation in operations]
    # Closed in reverse order: older settings overwrite newer ones, so the newer are restored last.
    for operation, value in zip(operations, found, strict=True):
        restore.callback(_restore_precision, operation, value)
    for read, write, exact in _older_settings():
        try:
            value = read()
        except RuntimeError:  # torch refuses to read this one once the caller has used the newer settings
            continue
        restore.callback(write, value)
        write(exact)
    for operation in operations:
        operation.fp32_precision = _EXACT


def _operations() -> list[Any]:
    """The operations with a precision setting in this version of torch."""
    backends: Any = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return []
    names = {backends.cuda: ("matmul",), backends.cudnn: ("conv", "rnn"), backends.mkldnn: ("matmul", "conv", "rnn")}
    return [getattr(backend, name) for backend, of in names.items() for name in of if hasattr(backend, name)]


def _older_settings() -> list[tuple[Callable[[], Any], Callable[[Any], None], Any]]:
    """Reader, writer and value for exact products of each setting."""
    cuda: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    return [
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
        (lambda: cuda.allow_tf32, lambda value: setattr(cuda, "allow_tf32", value), False),
        (lambda: cudnn.allow_tf32, lambda value: setattr(cudnn, "allow_tf32", value), False),
    ]


def _restore_precision(operation: Any, value: str) -> None:
    """Restores an operation's precision, or its dependence on a more general setting."""
    operation.fp32_precision = _INHERITED
    if operation.fp32_precision != value:
        operation.fp32_precision = value
