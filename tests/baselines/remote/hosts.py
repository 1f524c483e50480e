"""Hosts of the tests: a codec that works, and raw messages for those that do not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from uqdm.codec import get_codec
from uqdm_baselines.remote import Remote

CODEC = """
import os, sys, time, zlib
import numpy as np
from uqdm_codec_host import Stream, StreamError, serve

def encode(image):
    height, width, _ = image.shape
    return np.array([height, width], "<u4").tobytes() + zlib.compress(image.tobytes())

def decode(stream):
    if len(stream) < 8:
        raise StreamError("no size")
    height, width = np.frombuffer(stream[:8], "<u4")
    return np.frombuffer(zlib.decompress(stream[8:]), np.uint8).reshape(height, width, 3)
"""
"""The functions of a lossless codec."""
SERVE = 'serve(encode, decode, name="mine", version="1.0")'

RAW = """
import json, os, struct, sys, time

FRAME = struct.Struct("<4sHHIQ")
HELLO = {"name": "raw", "version": "1", "parameters": {}, "packages": {}, "python": "3", "device": "cpu",
         "progressive": False, "batch_size": 1, "estimate": False}

def take():
    _, _, _, head, body = FRAME.unpack(sys.stdin.buffer.read(FRAME.size))
    found = json.loads(sys.stdin.buffer.read(head))
    return found, sys.stdin.buffer.read(body)

def give(head, body=b"", n_bytes=None, magic=b"UQCH", protocol=1):
    data = head if isinstance(head, bytes) else json.dumps(head).encode()
    os.write(1, FRAME.pack(magic, protocol, 0, len(data), len(body) if n_bytes is None else n_bytes) + data)
    while body:
        body = body[os.write(1, body):]

hello, _ = take()
give({"id": hello["id"], "hello": HELLO})
call, body = take()
"""
"""The begin of a host that says hello, and then has a request."""


def codec_of(folder: Path, text: str, name: str = "remote", **parameters: Any) -> Remote:
    """A codec whose host is this script."""
    path = folder / "host.py"
    path.write_text(text)
    codec = get_codec(name, command=f"{sys.executable} {path}", **parameters)
    assert isinstance(codec, Remote)
    return codec
