"""A host of the codec `remote` that notes its own times; remote_overhead.py starts it in the host's environment.

    python benchmarks/timed_host.py serve TIMES HOST [OPTION ...]    # serves, and appends seconds of its codec to TIMES
    python benchmarks/timed_host.py bare IMAGES HOST [OPTION ...]    # codes the images of a .npy file, without `remote`

``bare`` reads a line for each pass over the images, and answers with the seconds to encode and to decode them all.
"""

import functools
import json
import os
import runpy
import sys
import time

import numpy as np
import uqdm_codec_host

_serve = uqdm_codec_host.serve


def noted(function, path):
    """The function; each call appends its seconds to a file."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)

    def timed(item):
        begun = time.perf_counter()
        found = function(item)
        seconds = time.perf_counter() - begun
        os.write(file, f"{seconds!r}\n".encode())
        return found

    return timed


def serve_and_note(path, encode, decode, **options):
    """Serves a codec whose times are noted in a file."""
    _serve(noted(encode, path), noted(decode, path), **options)


def code_here(path, encode, decode, **options):
    """Codes the images of a file once for each line of stdin."""
    del options
    images = list(np.load(path))
    for _ in sys.stdin:
        times = [time.perf_counter()]
        streams = [encode(image) for image in images]
        times.append(time.perf_counter())
        for stream in streams:
            decode(stream)
        times.append(time.perf_counter())
        print(json.dumps(np.diff(times).tolist()), flush=True)


if __name__ == "__main__":
    kind, file_path, script = sys.argv[1:4]
    chosen = {"serve": serve_and_note, "bare": code_here}[kind]
    uqdm_codec_host.serve = functools.partial(chosen, file_path)
    sys.argv = sys.argv[3:]
    runpy.run_path(script, run_name="__main__")
