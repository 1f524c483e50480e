"""PerCo (SD) as a host of the codec `remote`; see README.md. It was not run.

    python host.py --repository PerCo --models FOLDER --rate 0.0313

A file has, as numbers of seven bits a byte: height and width of the image, and the caption (zlib) and the indices (an
arithmetic coder with equal probabilities) with their lengths. PerCo's own files are pickles of the same strings.
"""

import argparse
import math
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from recipe_tools import digest, fields, pictures, weights
from recipe_tools.repository import use_repository
from uqdm_codec_host import StreamError, serve

STEP = 64
"""Sides are padded to multiples of it: 8 of the autoencoder, and 8 of the network of latents."""
MOST_CAPTION_BYTES = 4096


class Codec:
    """Pipeline of the decoder, writer of captions, and PerCo's functions of strings."""

    def __init__(self, settings, model, device):
        from pipeline_sd_perco import StableDiffusionPipelinePerco
        from transformers import Blip2ForConditionalGeneration, Blip2Processor

        self.settings = settings
        self.device = device
        self.pipeline = StableDiffusionPipelinePerco.from_pretrained(
            model, safety_checker=None, requires_safety_checker=False
        ).to(device)
        self.pipeline.hyper_enc.quantizer.eval()
        self.processor = Blip2Processor.from_pretrained(settings.blip_model)
        self.captioner = Blip2ForConditionalGeneration.from_pretrained(settings.blip_model).to(device)

    @torch.no_grad()
    def encode(self, image):
        """The file of an image, uint8 [H, W, 3]."""
        from compression_utils import compress_hyper_latent, compress_text

        height, width = image.shape[:2]
        padded = np.pad(image, ((0, -height % STEP), (0, -width % STEP), (0, 0)), mode="edge")
        torch.manual_seed(0)  # the autoencoder draws its latents
        vae = self.pipeline.vae
        latents = vae.encode(pictures.to_tensor(padded, self.device) * 2 - 1).latent_dist.sample()
        indices = self.pipeline.hyper_enc(latents * vae.config.scaling_factor).indices
        caption = compress_text(self._caption(image))
        start = fields.number(height) + fields.number(width)
        return start + fields.part(caption) + fields.part(compress_hyper_latent(indices))

    def _caption(self, image):
        inputs = self.processor(images=image, return_tensors="pt").to(self.device)
        tokens = self.captioner.generate(**inputs, max_length=self.settings.max_number_tokens)
        return self.processor.batch_decode(tokens, skip_special_tokens=True)[0].strip()

    @torch.no_grad()
    def decode(self, stream):
        """The image of a file; its noise is that of PerCo's seed."""
        reader = fields.Reader(stream)
        height, width = reader.size()
        caption, string = reader.part("caption"), reader.part("indices")
        reader.end()
        rows, columns = (-(-side // STEP) * STEP for side in (height, width))
        features = self._features(self._indices(string, rows, columns))
        generator = torch.Generator(device=self.device).manual_seed(self.settings.random_seed)
        decoded = self.pipeline(
            caption_text(caption),
            features,
            height=rows,
            width=columns,
            num_inference_steps=self.settings.num_inference_steps,
            guidance_scale=self.settings.guidance_scale,
            generator=generator,
        ).images[0]
        return np.array(decoded.convert("RGB"))[:height, :width]

    def _indices(self, string, rows, columns):
        """The indices of a file; refuses a string that does not have the length of so many equally likely ones."""
        from compression_utils import decompress_hyper_latent

        side, size = self.settings.rate_cfg[self.settings.target_rate]
        count = rows * side // 512 * (columns * side // 512)
        if abs(len(string) - count * math.log2(size) / 8) > 8 + count / 512:
            raise StreamError("it has {} bytes of indices for {} places".format(len(string), count))
        return decompress_hyper_latent(string, (rows, columns)).to(self.device)

    def _features(self, indices):
        return self.pipeline.hyper_enc.quantizer.get_output_from_indices(indices.long()).permute(0, 3, 1, 2)


def caption_text(data):
    """The caption of its zlib stream, of at most :data:`MOST_CAPTION_BYTES`."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MOST_CAPTION_BYTES).decode()
    except (UnicodeDecodeError, zlib.error) as error:
        raise StreamError("its caption is damaged: {}".format(error)) from error
    if not unpacker.eof:
        raise StreamError("its caption is cut, or longer than {} bytes".format(MOST_CAPTION_BYTES))
    return text


def main():
    """Serves one rate."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repository", required=True, help="a clone of PerCo")
    parser.add_argument("--models", required=True, help="folder with the folder of each trained pipeline, by its rate")
    parser.add_argument("--rate", type=float, required=True, help="that the model was trained for, in bits per pixel")
    parser.add_argument("--steps", type=int, help="of the decoder; by default as PerCo's configuration")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu")
    options = parser.parse_args()
    commit = use_repository(options.repository, "src/pipeline_sd_perco.py")
    source = str(Path(options.repository, "src").resolve())
    sys.path.insert(0, source)
    from config import ConfigPerco

    settings = ConfigPerco
    if options.rate not in settings.rate_cfg:
        parser.error("--rate {}: PerCo has {}".format(options.rate, ", ".join(map(str, settings.rate_cfg))))
    settings.global_path = source
    settings.target_rate = options.rate
    settings.num_inference_steps = options.steps or settings.num_inference_steps
    model = Path(options.models).resolve() / str(options.rate)
    if not model.is_dir():
        raise SystemExit("no pipeline in {}: put the folder of this rate there".format(model))
    codec = Codec(settings, str(model), options.device)
    serve(
        codec.encode,
        codec.decode,
        name="perco-sd",
        version=commit,
        parameters={
            "rate": options.rate,
            "weights": "sha256:" + weights.folder_sha256(model),
            "steps": settings.num_inference_steps,
            "guidance": settings.guidance_scale,
            "recipe_tools": digest(),
        },
        device="cuda:" + torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu",
        packages=("numpy", "torch", "diffusers", "transformers"),
    )


if __name__ == "__main__":
    main()
