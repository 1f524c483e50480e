"""BPG (Better Portable Graphics): an HEVC intra picture behind a small header.

The format is that of Fabrice Bellard's BPG specification 0.9.5; section numbers of HEVC are those of ITU-T H.265.
``header`` and ``tools`` are the two headers of a file, ``parameter_sets`` and ``nal`` turn it into an HEVC stream and
back, ``colour`` converts between RGB and the coded planes, ``hevc`` runs the coder, ``codec`` combines them, and
``tuned`` is the same codec with a sweep tuned for PSNR.
"""

from uqdm_baselines.bpg.codec import BPG
from uqdm_baselines.bpg.tuned import BPGTuned

__all__ = ["BPG", "BPGTuned"]
