"""How much damage to its files each format detects, without the store's length and hash.

    python benchmarks/robustness.py [--images 6] [--damages 40] [--codec NAME:key=value ...] [--time-limit 20]

Images of the demo are encoded by each codec. Each file is cut short, at lengths spread over it; has one bit flipped,
at random; or gets random bytes after its end. The damaged file is then decoded as a whole, in a separate process.
A damage is *detected* if decoding raises an error, *harmless* if it gives the same picture, *silent* if it gives
another picture without an error; decoders that crash or exceed the limit are counted separately. The last column
counts what the store detects (:mod:`uqdm.bench.run.stored_streams`). Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

import numpy as np

from uqdm.bench.datasets import open_dataset
from uqdm.bench.run.codec_settings import parse_request
from uqdm.bench.run.stored_streams import StreamDamagedError, check_columns, checked_stream
from uqdm.codec import Codec, codec_class, get_codec

CODECS = (
    "jpeg:quality=60",
    "jpeg-progressive",
    "jpeg2000",
    "jpeg2000-tuned:ratio=7.0",
    "jpeg2000-progressive",
    "webp:quality=60",
    "webp:lossless=true",
    "avif:quality=50",
    "jxl:quality=60",
    "bpg:quality=20",
    "png",
    "uqdm",
)
CUT, FLIP, EXTENDED = "cut short", "a bit flipped", "bytes behind the end"
KINDS = (CUT, FLIP, EXTENDED)
DETECTED, HARMLESS, SILENT, CRASHED, SLOW = "detected", "harmless", "silent", "crashed", "too slow"
STORE = "store"

Damage = tuple[str, int, bytes]
"""Kind, index of the image, damaged file."""


def damages(streams: Sequence[bytes], count: int, seed: int = 0) -> list[Damage]:
    """``count`` damages of each kind for each file; each changes its file."""
    chance, found = random.Random(seed), list[Damage]()
    for index, stream in enumerate(streams):
        lengths = np.unique(np.linspace(0, len(stream) - 1, count).astype(int))
        found += [(CUT, index, stream[:length]) for length in lengths.tolist()]
        for _ in range(count):
            place, bit = chance.randrange(len(stream)), 1 << chance.randrange(8)
            found.append((FLIP, index, stream[:place] + bytes([stream[place] ^ bit]) + stream[place + 1 :]))
            found.append((EXTENDED, index, stream + chance.randbytes(1 + chance.randrange(16))))
    return found


def made(codec: str) -> Codec:
    """A codec by its text on the command line."""
    request = parse_request(codec)
    return get_codec(request.name, **(request.parameters or {}))


def decode_all(codec: str, expected: Sequence[np.ndarray], todo: Sequence[Damage], results: Connection) -> None:
    """Decodes damaged files one by one, and sends the outcome of each."""
    warnings.simplefilter("ignore")
    decoder = made(codec)
    results.send(None)  # ready
    for _, index, stream in todo:
        try:
            (picture,) = decoder.decode([stream])
        except Exception:
            results.send(DETECTED)
        else:
            results.send(HARMLESS if np.array_equal(picture, expected[index]) else SILENT)


def outcomes(codec: str, expected: Sequence[np.ndarray], todo: Sequence[Damage], limit_s: float) -> Iterator[str]:
    """The outcome of each damaged file; a decoder that dies or takes too long is restarted for the files after it."""
    left = list(todo)
    context = multiprocessing.get_context("spawn")
    while left:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=decode_all, args=(codec, expected, left, sender), daemon=True)
        process.start()
        sender.close()
        try:
            receiver.recv()
            while left:
                outcome = receiver.recv() if receiver.poll(limit_s) else SLOW
                left.pop(0)
                yield outcome
                if outcome == SLOW:
                    break
        except EOFError:
            left.pop(0)
            yield CRASHED
        finally:
            process.kill()
            process.join()


def store_detects(streams: Sequence[bytes], damage: Damage) -> bool:
    """Whether the stored length and hash detect the damage."""
    _, index, stream = damage
    try:
        checked_stream({"stream": stream, **check_columns(streams[index])})
    except StreamDamagedError:
        return True
    return False


def measure(codec: str, images: Sequence[np.ndarray], count: int, limit_s: float = 20) -> dict[str, Counter[str]]:
    """For each kind of damage the number of files by outcome, and the number that the store detects."""
    coder = made(codec)
    streams = [stream for image in images for stream in coder.encode([image])]
    expected = [picture for stream in streams for picture in coder.decode([stream])]
    todo = damages(streams, count)
    found = {kind: Counter[str]() for kind in KINDS}
    for damage, outcome in zip(todo, outcomes(codec, expected, todo, limit_s), strict=True):
        found[damage[0]][outcome] += 1
        found[damage[0]][STORE] += store_detects(streams, damage)
    return found


def table(found: dict[str, dict[str, Counter[str]]]) -> str:
    """The counts of codecs as Markdown."""
    heading = ["codec", *(f"{kind}: {name}" for kind in KINDS for name in (DETECTED, HARMLESS, SILENT))]
    heading += ["crashed", "too slow", "store"]
    lines = [heading, ["---"] * len(heading)]
    for codec, kinds in found.items():
        totals = sum(kinds.values(), Counter[str]())
        n_files = sum(totals[name] for name in (DETECTED, HARMLESS, SILENT, CRASHED, SLOW))
        cells = [str(kinds[kind][name]) for kind in KINDS for name in (DETECTED, HARMLESS, SILENT)]
        lines.append([f"`{codec}`", *cells, str(totals[CRASHED]), str(totals[SLOW]), f"{totals[STORE]} of {n_files}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--damages", type=int, default=40, help="of each kind, for each image")
    parser.add_argument("--codec", action="append", help="as for `uqdm bench evaluate`; may be repeated")
    parser.add_argument("--time-limit", type=float, default=20, help="seconds for one file")
    arguments = parser.parse_args()
    dataset = open_dataset("demo", limit=arguments.images)
    images = [dataset.load(index) for index in range(len(dataset))]
    found = {}
    for codec in arguments.codec or CODECS:
        missing = codec_class(parse_request(codec).name).missing()
        if missing is not None:
            print(f"{codec}: left out: {missing}")
            continue
        found[codec] = measure(codec, images, arguments.damages, arguments.time_limit)
        print(f"{codec}: done", flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
