"""Images of the benchmark as tensors of a network, and back."""

import numpy as np
import torch
from uqdm_codec_host import StreamError


def to_tensor(image, device="cpu"):
    """float32 [1, 3, H, W] in 0..1 of an image uint8 [H, W, 3]."""
    pixels = torch.from_numpy(np.array(image)).to(device)
    return pixels.permute(2, 0, 1)[None].float() / 255


def to_image(tensor):
    """The image uint8 [H, W, 3] that is nearest to a tensor [1, 3, H, W] in 0..1; values outside are clipped.

    Raises StreamError for values that are not finite: damage can lead to such latents.
    """
    if not bool(torch.isfinite(tensor).all()):
        raise StreamError("it decodes to values that are not finite")
    pixels = tensor[0].clamp(0, 1).mul(255).round().to(torch.uint8)
    return pixels.permute(1, 2, 0).cpu().numpy()
