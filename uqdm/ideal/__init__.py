"""Ideal codecs: rates that no file reaches, for the lines that papers hold their codecs against.

``record`` is what such a codec keeps in place of a file, ``twin`` the Gaussian process of a model on images, ``codec``
puts both under the contract of :mod:`uqdm.codec`.
"""

from uqdm.ideal.codec import VDMCodec
from uqdm.ideal.twin import GaussianTwin

__all__ = ["GaussianTwin", "VDMCodec"]
