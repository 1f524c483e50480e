"""What pictures cost in calls of the network and in multiply-accumulates.

One convention: what one more picture takes. Step 0 sees nothing but a seed, so its outputs are kept between pictures
and never counted, as they are in no measured time. Every other step is one call. Tiles of an image go through
the network side by side: they multiply the multiply-accumulates, and not the calls.
"""

from __future__ import annotations

import copy

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from uqdm.model.checkpoint import Model
from uqdm.model.denoiser import Denoiser
from uqdm.model.schedule import Step


def encoding_steps(n_steps: int) -> range:
    """The steps whose network is called to encode an image with all ``n_steps`` steps T.

    >>> len(encoding_steps(4))
    3
    """
    return range(1, n_steps)


def decoding_steps(n_steps: int, step: int | None, reconstruction: str) -> range:
    """The steps whose network is called to decode the picture after ``step`` 0..T, or the lossless one (None).

    The denoised picture needs the prediction of the step that comes next; the sampled ones need all that are left.

    >>> [len(decoding_steps(4, step, "denoise")) for step in (0, 1, 2, 3, 4, None)]
    [0, 1, 2, 3, 3, 3]
    >>> [len(decoding_steps(4, step, "flow")) for step in (0, 1, 2, 3, 4, None)]
    [3, 3, 3, 3, 3, 3]
    """
    last = step if step is not None and reconstruction == "denoise" else n_steps
    return range(1, min(last + 1, n_steps))


def call_macs(model: Model) -> tuple[int, ...]:
    """Multiply-accumulates of a call for one tile, by step (see :func:`multiply_accumulates`)."""
    network = copy.deepcopy(model.denoiser).to("meta")  # shapes alone: nothing is computed, and no device matters
    return tuple(multiply_accumulates(network, step, model.image_size) for step in model.schedule.steps())


def multiply_accumulates(denoiser: Denoiser, step: Step, image_size: int) -> int:
    """Multiply-accumulates of convolutions, linear layers and attention products in a call for one tile.

    Nothing else is counted: no norms, activations, softmax or additions. ``denoiser`` is best on the device ``meta``.
    """
    weights = next(denoiser.parameters())
    z_t = torch.zeros(1, 3, image_size, image_size, device=weights.device, dtype=weights.dtype)
    # Fused attention has kernels that the counter does not know, and would leave out: two thirds of uqdm-tiny.
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        denoiser(z_t, step)
    return int(counter.get_total_flops()) // 2
