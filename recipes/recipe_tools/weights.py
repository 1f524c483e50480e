"""Files of weights: checked, hashed, and read without running code in them."""

import hashlib
import re
from pathlib import Path

import torch


def file_sha256(path):
    """SHA-256 of a file, in hexadecimal digits."""
    found = hashlib.sha256()
    with open(str(path), "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def folder_sha256(path):
    """The first digits of a SHA-256 of all files of a folder: of their names and contents."""
    found = hashlib.sha256()
    for file in sorted(one for one in Path(path).rglob("*") if one.is_file()):
        found.update("{}\0{}\0".format(file.relative_to(path).as_posix(), file_sha256(file)).encode())
    return found.hexdigest()[:12]


def path_in(path, name):
    """The path itself, or the file of that name if it is a folder."""
    return Path(path) / name if Path(path).is_dir() else Path(path)


def read_weights(path):
    """The contents of a file of weights, on the CPU, and the first digits of its SHA-256.

    ``weights_only`` keeps torch from running code. A name that ends with the first eight digits of the hash, as those
    of the usual hubs do, is checked. Exits with a message if the file is missing, damaged, or holds other objects.
    """
    if not Path(path).is_file():
        raise SystemExit("no weights in {}: name an existing file by --checkpoint".format(path))
    found = file_sha256(path)
    named = re.search(r"-([0-9a-f]{8})\.(?:pth\.tar|pth|pt|ckpt)$", Path(path).name)
    if named and not found.startswith(named.group(1)):
        raise SystemExit("{} is damaged: its SHA-256 begins with {}, not as its name says".format(path, found[:8]))
    try:
        return torch.load(str(path), map_location="cpu", weights_only=True), found[:12]
    except Exception as error:  # pickle raises many kinds for a damaged file, with pages of advice
        kind = type(error).__name__
        raise SystemExit("{} holds no weights that torch reads with weights_only ({})".format(path, kind)) from None


def tensors_sha256(tensors):
    """The first digits of a SHA-256 of named tensors: of names, shapes and values."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update("{} {}\0".format(name, list(tensor.shape)).encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:12]
