"""Lets a codec of any Python environment take part in the benchmark: one file, Python 3.8 or newer, and numpy.

Write a script with two functions and start it from there; the benchmark's codec ``remote`` runs that script::

    import numpy as np
    from uqdm_codec_host import serve

    def encode(image):  # uint8 [H, W, 3]
        return image.shape[0].to_bytes(4, "little") + image.shape[1].to_bytes(4, "little") + image.tobytes()

    def decode(stream):  # bytes, of one image and complete in themselves
        height, width = (int.from_bytes(stream[i : i + 4], "little") for i in (0, 4))
        return np.frombuffer(stream[8:], np.uint8).reshape(height, width, 3)

    serve(encode, decode, name="mine", version="1.0")

Started in a terminal, the script checks itself on a few images and says what it found. Everything that the codec
prints goes to stderr: stdout belongs to the protocol, which docs/remote-codecs.md describes.
"""

import json
import os
import platform
import struct
import sys
import time
import traceback
from importlib import import_module

import numpy as np

PROTOCOL = 1
MAGIC = b"UQCH"
FRAME = struct.Struct("<4sHHIQ")  # MAGIC, PROTOCOL, 0, bytes of the head (JSON), bytes of the body
MOST_HEAD_BYTES = 1 << 24
MOST_BODY_BYTES = 1 << 34


class StreamError(ValueError):
    """Raise it in ``decode`` for a stream that cannot be decoded, with the reason."""


class Stream:
    """What ``encode`` may return in place of bytes: a stream with the ideal bits up to each of its points.

    ``ideal_bits`` is a number for the whole stream, or a mapping from names of points to numbers. With
    ``estimate=True`` in :func:`serve` it is the rate, and ``data`` only what ``decode`` needs to make the picture.
    """

    def __init__(self, data, ideal_bits=None):
        self.data = bytes(data)
        if ideal_bits is not None and not hasattr(ideal_bits, "items"):
            ideal_bits = {"full": ideal_bits}
        self.ideal_bits = {str(name): float(bits) for name, bits in (ideal_bits or {}).items()}


def serve(
    encode,
    decode,
    *,
    name,
    version,
    parameters=None,
    points=None,
    batched=False,
    batch_size=1,
    estimate=False,
    device="cpu",
    packages=("numpy", "torch"),
):
    """Answers the benchmark until it hangs up.

    ``encode(image)`` takes uint8 [H, W, 3] and returns bytes (or :class:`Stream`), ``decode(stream)`` the reverse. With
    ``batched=True`` both take a list and return a list; ``batch_size`` images are then passed at once. ``points``, for
    a progressive codec, takes a stream and returns pairs (name, length of the shortest prefix that decodes to it), the
    last of which is the whole stream; ``decode`` then also takes these prefixes. ``parameters`` (a mapping) and the
    versions of ``packages`` become part of the version in the results. ``device`` is ``"cpu"``, or ``"cuda:"`` with the
    GPU's name, if it computes on one. ``estimate=True``: rates are the ideal bits of :class:`Stream`, not bytes.
    """
    host = _Host(encode, decode, points, batched)
    hello = {
        "name": str(name),
        "version": str(version),
        "parameters": {str(key): value for key, value in (parameters or {}).items()},
        "progressive": points is not None,
        "batch_size": int(batch_size),
        "estimate": bool(estimate),
        "device": str(device),
        "python": platform.python_version(),
        "packages": _versions(packages),
    }
    if sys.stdin.isatty():
        host.check_itself(hello)
        return
    requests, answers = _own_channels()
    while True:
        frame = _read_frame(requests)
        if frame is None:
            return
        head, body = frame
        try:
            answer, parts = ({"hello": hello}, []) if head.get("call") == "hello" else host.answer(head, body)
        except Exception as error:  # whatever the codec raises is an answer
            traceback.print_exc()
            kind = "stream" if isinstance(error, StreamError) else "failure"
            answer, parts = {"error": {"kind": kind, "message": _text_of(error)}}, []
        answer["id"] = head.get("id")
        _write_frame(answers, answer, parts)


class _Host:
    def __init__(self, encode, decode, points, batched):
        self.points = points
        self.encode = encode if batched else _each(encode)
        self.decode = decode if batched else _each(decode)

    def answer(self, head, body):
        """The answer to a request, and the parts of its body."""
        call = head.get("call")
        if call == "encode":
            streams = [_as_stream(found) for found in self.encode(_images(head["images"], body))]
            _check_count(streams, head["images"], "encode")
            sizes, bits = [len(one.data) for one in streams], [one.ideal_bits for one in streams]
            return {"streams": sizes, "ideal_bits": bits}, [one.data for one in streams]
        if call == "decode":
            images = [_as_image(found) for found in self.decode(_streams(head["streams"], body))]
            _check_count(images, head["streams"], "decode")
            return {"images": [image.shape[:2] for image in images]}, [image.tobytes() for image in images]
        if call == "points":
            streams = _streams(head["streams"], body)
            found = [[[str(name), int(n_bytes)] for name, n_bytes in self.points(stream)] for stream in streams]
            return {"points": found}, []
        raise ValueError(f"unknown call {call!r}")

    def check_itself(self, hello):
        """Codes a few small images, and prints sizes and errors."""
        packages = ", ".join(f"{name} {version}" for name, version in hello["packages"].items())
        print("{} {}; Python {}, {}".format(hello["name"], hello["version"], hello["python"], packages))
        random = np.random.default_rng(0)
        ramp = np.add.outer(np.arange(64), np.arange(96))[:, :, None] * [1, 2, 1] % 256
        for what, image in (("ramp", ramp), ("noise", random.integers(0, 256, (64, 64, 3)))):
            image = image.astype(np.uint8)
            (stream,) = map(_as_stream, self.encode([image]))
            begun = time.perf_counter()
            (decoded,) = map(_as_image, self.decode([stream.data]))
            spent_ms = 1e3 * (time.perf_counter() - begun)
            if decoded.shape != image.shape:
                raise SystemExit(f"{what}: decoded to {decoded.shape}, not to {image.shape}")
            error = float(np.mean((decoded.astype(float) - image) ** 2))
            bpp = 8 * len(stream.data) / (image.shape[0] * image.shape[1])
            print(f"{what}: {bpp:.3f} bpp, mean squared error {error:.2f}, decoded in {spent_ms:.0f} ms")
            for name, n_bytes in self.points(stream.data) if self.points else ():
                (decoded,) = map(_as_image, self.decode([stream.data[:n_bytes]]))
                print(f"  {name}: {n_bytes} bytes, decodes to {decoded.shape}")
        print("It works. The benchmark starts this script as the command of its codec `remote`.")


def _each(function):
    return lambda items: [function(item) for item in items]


def _as_stream(found):
    return found if isinstance(found, Stream) else Stream(found)


def _as_image(found):
    image = np.asarray(found)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise TypeError(f"decode returned {image.dtype} {list(image.shape)}, not uint8 [H, W, 3]")
    return np.ascontiguousarray(image)


def _check_count(found, wanted, what):
    if len(found) != len(wanted):
        raise ValueError(f"{what} returned {len(found)} results for {len(wanted)}")


def _images(shapes, body):
    sizes = [3 * height * width for height, width in shapes]
    return [
        np.frombuffer(part, np.uint8).reshape(height, width, 3)
        for part, (height, width) in zip(_streams(sizes, body), shapes)
    ]


def _streams(sizes, body):
    ends = np.cumsum([0] + list(sizes)).tolist()
    if ends[-1] != len(body):
        raise ValueError(f"a body of {len(body)} bytes for parts of {ends[-1]}")
    return [body[begin:end] for begin, end in zip(ends, ends[1:])]


def _versions(packages):
    """Versions of the packages that this process has imported by now."""
    found = {}
    for name in packages:
        if name in sys.modules:
            found[name] = str(getattr(import_module(name), "__version__", "unknown"))
    return found


def _text_of(error):
    return f"{type(error).__name__}: {error}"[:2000]


def _own_channels():
    """stdin and stdout for the protocol alone: to the codec stdin is empty, and what it prints goes to stderr."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb")


def _read_frame(file):
    """Head and body of a request; None at the end."""
    start = file.read(FRAME.size)
    if len(start) < FRAME.size:
        return None
    magic, protocol, _, head_bytes, body_bytes = FRAME.unpack(start)
    if magic != MAGIC or protocol != PROTOCOL or head_bytes > MOST_HEAD_BYTES or body_bytes > MOST_BODY_BYTES:
        raise SystemExit(f"this host speaks version {PROTOCOL} of the protocol, and got another")
    head, body = file.read(head_bytes), file.read(body_bytes)
    return (json.loads(head.decode()), body) if len(body) == body_bytes else None


def _write_frame(file, head, parts):
    data = json.dumps(head).encode()
    file.write(FRAME.pack(MAGIC, PROTOCOL, 0, len(data), sum(map(len, parts))) + data)
    for part in parts:
        file.write(part)
    file.flush()
