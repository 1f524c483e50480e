"""The learned transform codes as a :class:`uqdm.codec.Codec`."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.hyperprior.file import MAX_PIXELS, MODEL_ID_BYTES, Header, parse
from uqdm.codec import (
    Codec,
    CodecUnavailableError,
    Encoded,
    Parameter,
    ParameterError,
    Reconstruction,
    StreamError,
    check_images,
)
from uqdm.paths import absolute_text

if TYPE_CHECKING:
    import torch

    from baselines.hyperprior.latents import Latents
    from uqdm.transform.model import Model

_LEVEL = 0  # checkpoints have one rate


class Hyperprior(Codec):
    """Transform coding with a factorized prior, a scale hyperprior, or a mean-scale hyperprior, from a checkpoint.

    Latents decode to the same values on every machine; the synthesis turns them into pictures that may differ by
    rounding. Images are padded to multiples of 16 or 64 by repeating their last row and column.
    """

    name = "hyperprior"
    summary = "learned transform codes (Balle et al. 2018, Minnen et al. 2018) from CompressAI's checkpoints, in files"
    parameters = (
        Parameter(
            "checkpoint", str, "", "file of a model, as CompressAI saves it", canonical=absolute_text, sweeps=True
        ),
    )
    suffix = ".hyperprior"
    holds_model = True
    uses_gpu = True
    varying_reconstructions = frozenset({"decoded"})

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._given = _load(path, *_stamp(path)) if (path := self.values["checkpoint"]) else None

    @property
    def _model(self) -> Model:
        if self._given is None:
            raise CodecUnavailableError(f"no model is named; name a checkpoint: {self.name}:checkpoint=FILE.pth.tar")
        return self._given

    @property
    def version(self) -> str:
        """Architecture, file and digest of the model; raises CodecUnavailableError where none is named."""
        model = self._model
        return f"{model.transforms.architecture}, {model.name} sha256:{model.sha256[:16]}"

    @property
    def device(self) -> str:
        """``cpu``, or the name of the GPU."""
        import torch

        if self._given is None:
            return "cpu"
        device = self._given.device
        return f"cuda:{torch.cuda.get_device_name(device)}" if device.type == "cuda" else "cpu"

    def encode(self, images: Sequence[np.ndarray]) -> list[bytes]:
        """See :meth:`uqdm.codec.Codec.encode`."""
        return [made.stream for made in self.encode_detailed(images)]

    def encode_detailed(self, images: Sequence[np.ndarray]) -> list[Encoded]:
        """Adds the model's estimate of the bits. Raises ValueError for an image of more than 2^24 pixels."""
        check_images(images)
        return [self._encode(image) for image in images]

    def decode(self, streams: Sequence[bytes]) -> list[np.ndarray]:
        """See :meth:`uqdm.codec.Codec.decode`."""
        return [self._decode(stream)[0] for stream in streams]

    def reconstructions(self, stream: bytes) -> Iterator[Reconstruction]:
        """The picture, with its network calls and multiply-accumulates."""
        picture, height, width = self._decode(stream)
        macs = _decoder_macs(self._model, *_padded(height, width, self._model.transforms.stride))
        yield Reconstruction(self.points(stream)[-1], "decoded", picture, calls=1, macs=macs)

    def _encode(self, image_uint8: np.ndarray) -> Encoded:
        import torch

        from baselines.hyperprior import latents
        from uqdm.arithmetic import float32_arithmetic
        from uqdm.coding.ans import Writer

        height, width = image_uint8.shape[:2]
        if height * width > MAX_PIXELS:
            raise ValueError(f"{height} x {width} pixels: {self.name} codes images of at most {MAX_PIXELS:,}")
        model, writer = self._model, Writer()
        with float32_arithmetic(), torch.inference_mode():
            transforms, level = model.transforms, torch.tensor([_LEVEL], device=model.device)
            x = torch.from_numpy(_pad(image_uint8, transforms.stride)).permute(2, 0, 1)[None].to(model.device)
            y = transforms.analysis(x.float() / 255, level)
            z = transforms.hyper_analysis(y, level).cpu() if transforms.side_channels else None
            made, check = latents.write(writer, model, y.cpu(), z, _LEVEL)
        header = Header(bytes.fromhex(model.sha256)[:MODEL_ID_BYTES], height, width)
        stream, _ = writer.finish(check)
        bits = {} if made.ideal_bits is None else {"full": made.ideal_bits}
        return Encoded(header.pack() + stream, bits, calls=1)

    def _decode(self, data: bytes) -> tuple[np.ndarray, int, int]:
        header, found = self._latents(data)
        picture = self._synthesis(found.y)[: header.height, : header.width]
        return np.ascontiguousarray(picture), header.height, header.width

    def _latents(self, data: bytes) -> tuple[Header, Latents]:
        from baselines.hyperprior import latents
        from uqdm.arithmetic import float32_arithmetic
        from uqdm.coding.ans import DamagedStreamError, Reader

        header, stream = parse(data)
        model = self._model
        if header.model_id != bytes.fromhex(model.sha256)[:MODEL_ID_BYTES]:
            raise StreamError(
                f"the file needs the model {header.model_id.hex()}..., and {model.name} is {model.sha256[:6]}...: "
                "decode it with the checkpoint that it was made with"
            )
        transforms = model.transforms
        height, width = _padded(header.height, header.width, transforms.stride)
        size = height // transforms.latent_stride, width // transforms.latent_stride
        try:
            reader = Reader(stream)
            with float32_arithmetic():
                found, check = latents.read(reader, model, *size, _LEVEL)
            if reader.check() != check:
                raise StreamError("the check value does not match: the file is damaged")
        except DamagedStreamError as error:
            raise StreamError(f"the file is damaged: {error}") from error
        return header, found

    def _synthesis(self, y: torch.Tensor) -> np.ndarray:
        import torch

        from uqdm.arithmetic import float32_arithmetic

        with float32_arithmetic(), torch.inference_mode():
            level = torch.tensor([_LEVEL], device=self._model.device)
            image = self._model.transforms.synthesis(y.to(self._model.device), level)[0]
            levels = (image.clamp(0, 1) * 255).round().nan_to_num().to(torch.uint8)
        return levels.permute(1, 2, 0).cpu().numpy()


def _padded(height: int, width: int, stride: int) -> tuple[int, int]:
    return -(-height // stride) * stride, -(-width // stride) * stride


def _pad(image_uint8: np.ndarray, stride: int) -> np.ndarray:
    """The image with its last row and column repeated up to multiples of ``stride``."""
    height, width = image_uint8.shape[:2]
    to_height, to_width = _padded(height, width, stride)
    return np.pad(image_uint8, ((0, to_height - height), (0, to_width - width), (0, 0)), "edge")


def _stamp(path: str) -> tuple[int, int]:
    """Size and time of a file, so that a changed one is read again; zeros if there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=4)
def _load(path: str, size: int, mtime_ns: int) -> Model:
    import torch

    from uqdm.transform.checkpoint import load

    try:
        model = load(Path(path))
    except ValueError as error:
        raise ParameterError(f"checkpoint: {error}") from error
    if torch.cuda.is_available():
        model.transforms.cuda()
    return model


@functools.lru_cache(maxsize=64)
def _decoder_macs(model: Model, height: int, width: int) -> int:
    """Multiply-accumulates of a decoder for a padded image."""
    from uqdm.transform.macs import decoder_macs

    return decoder_macs(model.transforms, height, width)
