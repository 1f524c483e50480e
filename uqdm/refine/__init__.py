"""Second stages: pictures that a conditional flow generates from another codec's decoded picture or latents.

``network`` and ``flow`` are the mathematics, ``model`` is a folder of weights, ``conditions`` takes from a stream what
the network sees, and ``codec`` is all of it as a codec.
"""

from uqdm.refine.codec import RefineCodec

__all__ = ["RefineCodec"]
