"""Ideal codecs: theoretical rates without files, as comparison curves of papers.

``record`` is what such a codec stores in place of a file, ``twin`` the Gaussian process of a model on images, and
``codec`` implements :class:`uqdm.codec.Codec` with both.
"""

from uqdm.ideal.codec import VDMCodec
from uqdm.ideal.twin import GaussianTwin

__all__ = ["GaussianTwin", "VDMCodec"]
