"""Models and files do not depend on the caller's torch settings."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import CODED_SLOPE, small_codec

import uqdm
from uqdm.arithmetic import each_in_float32, float32_arithmetic
from uqdm.codec import get_codec
from uqdm.progressive import tolerance
from uqdm.training.job import TrainingCallbacks, prepare
from uqdm.training.run import train

pytestmark = pytest.mark.slow

STORED = Path(__file__).parent / "progressive"
PICTURES_SHA256 = "df47ab87d2523cb3"
"""Of all pictures of the stored file, in the order of the steps."""
NEWER = hasattr(torch.backends.cuda.matmul, "fp32_precision")
"""Whether torch has a precision for each kind of operation."""


def settings() -> dict[str, Any]:
    """The caller's torch settings."""
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device().type,
        "autocast": torch.is_autocast_enabled("cpu"),
        "products": torch.backends.mkldnn.matmul.fp32_precision if NEWER else torch.get_float32_matmul_precision(),
        "convolutions": torch.backends.mkldnn.conv.fp32_precision if NEWER else None,
        "tf32": torch.backends.cuda.matmul.allow_tf32 if not NEWER else torch.backends.cuda.matmul.fp32_precision,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "libraries": (torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled),
        "inference": torch.is_inference_mode_enabled(),
        "gradients": torch.is_grad_enabled(),
    }


def _dtype(dtype: torch.dtype) -> Callable[[ExitStack], None]:
    def enter(stack: ExitStack) -> None:
        stack.callback(torch.set_default_dtype, torch.float32)
        torch.set_default_dtype(dtype)

    return enter


def _default_device(stack: ExitStack) -> None:
    stack.callback(torch.set_default_device, None)
    torch.set_default_device("meta")


def _products(precision: str) -> Callable[[ExitStack], None]:
    def enter(stack: ExitStack) -> None:
        stack.callback(torch.set_float32_matmul_precision, "highest")
        torch.set_float32_matmul_precision(precision)

    return enter


def _convolutions(stack: ExitStack) -> None:
    if not NEWER:
        pytest.skip("this torch has no precision of convolutions")
    stack.callback(setattr, torch.backends.mkldnn.conv, "fp32_precision", "none")
    torch.backends.mkldnn.conv.fp32_precision = "bf16"


def _no_libraries(stack: ExitStack) -> None:
    for library in (torch.backends.mkldnn, torch.backends.cudnn):
        stack.callback(setattr, library, "enabled", library.enabled)
        library.enabled = False


def _deterministic(stack: ExitStack) -> None:
    stack.callback(torch.use_deterministic_algorithms, False)
    torch.use_deterministic_algorithms(True)
    stack.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    torch.backends.cudnn.benchmark = True


STATES: dict[str, Callable[[ExitStack], Any]] = {
    "as it is": lambda stack: None,
    "bfloat16 by default": _dtype(torch.bfloat16),
    "float64 by default": _dtype(torch.float64),
    "meta by default": _default_device,
    "inside a device": lambda stack: stack.enter_context(torch.device("meta")),
    "autocast": lambda stack: stack.enter_context(torch.autocast("cpu", torch.bfloat16)),
    "medium products": _products("medium"),
    "bfloat16 convolutions": _convolutions,
    "deterministic": _deterministic,
    "without oneDNN and cuDNN": _no_libraries,
    "inference": lambda stack: stack.enter_context(torch.inference_mode()),
    "no gradients": lambda stack: stack.enter_context(torch.no_grad()),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    small_codec(folder, CODED_SLOPE)
    return folder


def everything(small: Path, image: np.ndarray) -> list[str]:
    """Digests of identities, files, pictures and ideal bits of all codecs of a newly loaded model."""
    clear_kept_models()
    model = uqdm.load_model(small)
    files = model.compress([image])
    digests: list[Any] = [model.model.sha256, *files, *model.decompress(files), *model.decompress(files, 2)]
    digests += [picture.image_uint8 for picture in model.pictures(files[0], ("denoise", "ancestral", "flow"))]
    digests += [str(model.ideal_bits(files[0])), str(tolerance.measure(model.model))]
    for name in ("vdm", "diffc"):
        codec = get_codec(name, model=str(small), reconstruct="all")
        made = codec.encode_detailed([image])[0]
        digests += [codec.version, made.stream, str(made.ideal_bits)]
        digests += [shown.image_uint8 for shown in codec.reconstructions(made.stream)]
    return [
        hashlib.sha256(item.encode() if isinstance(item, str) else bytes(item)).hexdigest()[:16] for item in digests
    ]


@pytest.fixture(scope="module")
def expected(small: Path, photographs_uint8: list[np.ndarray]) -> list[str]:
    return everything(small, photographs_uint8[0][:8, :8])


@pytest.mark.parametrize("state", STATES)
def test_global_torch_settings_do_not_change_models_or_files(
    state: str, small: Path, expected: list[str], photographs_uint8: list[np.ndarray]
) -> None:
    with ExitStack() as stack:
        STATES[state](stack)
        before = settings()
        found = everything(small, photographs_uint8[0][:8, :8])
        assert settings() == before
    assert found == expected


def test_all_global_settings_together_change_nothing() -> None:
    with ExitStack() as stack:
        for name in ("bfloat16 by default", "meta by default", "autocast", "medium products", "inference"):
            STATES[name](stack)
        model = uqdm.load_model(STORED / "golden-v1-model")
        pictures = model.pictures((STORED / "golden-v1.uqdm").read_bytes())
        digest = hashlib.sha256(b"".join(picture.image_uint8.tobytes() for picture in pictures)).hexdigest()
    assert (model.model.sha256[:6], digest[:16]) == ("50ee11", PICTURES_SHA256)


def clear_kept_models() -> None:
    from uqdm.diffc.codec import _model as of_diffc
    from uqdm.ideal.codec import _model as of_vdm
    from uqdm.ideal.codec import _twin

    for kept in (of_diffc, of_vdm, _twin):
        kept.cache_clear()


CONFIG = """
name: small
image_size: 8
data: {source: demo, boxes_per_image: 2}
model:
  schedule: {slope: 18.21, gamma_max: 6.0, n_steps: 3}
  denoiser: {kind: stepwise, widths: [4, 4], dilations: [[1], [1]]}
recipe: {objective: nelbo, n_iterations: 3, batch_size: 2, bfloat16: %s}
"""
"""Small, and of both precisions."""


@pytest.mark.parametrize("bfloat16", ["true", "false"])
def test_global_torch_settings_do_not_change_training(tmp_path: Path, bfloat16: str) -> None:
    (tmp_path / "small.yaml").write_text(CONFIG % bfloat16)

    def trained(name: str) -> str:
        train(prepare(tmp_path / "small.yaml", None, tmp_path / name), TrainingCallbacks())
        return uqdm.load_model(tmp_path / name).model.sha256

    expected = trained("plain")
    with ExitStack() as stack:
        for state in ("bfloat16 by default", "meta by default", "autocast", "inference"):
            STATES[state](stack)
        assert trained("changed") == expected


def test_loading_a_model_keeps_the_random_state(small: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    uqdm.load_model(small)
    assert torch.equal(torch.rand(4), expected)


def test_settings_are_restored_between_items_of_an_iterator() -> None:
    @each_in_float32
    def types() -> Iterator[torch.dtype]:
        for _ in range(2):
            yield torch.get_default_dtype()

    with ExitStack() as stack:
        STATES["bfloat16 by default"](stack)
        for found in types():
            assert (found, torch.get_default_dtype()) == (torch.float32, torch.bfloat16)


def test_settings_are_restored_when_the_last_thread_leaves() -> None:
    entered, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with float32_arithmetic():
            entered.set()
            leave.wait(30)

    with ExitStack() as stack:
        STATES["float64 by default"](stack)
        thread = threading.Thread(target=stay)
        with float32_arithmetic():
            thread.start()
            entered.wait(30)
        assert torch.get_default_dtype() == torch.float32  # the other thread is still inside
        leave.set()
        thread.join(30)
        assert torch.get_default_dtype() == torch.float64
