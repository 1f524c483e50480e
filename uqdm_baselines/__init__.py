"""Classic image codecs behind the contract of :mod:`uqdm.codec`, one module each.

Every stream is a complete file of its format, headers included; its length is the rate. All encoder options that
affect rate or quality are set explicitly, so that new defaults of a library do not change a curve. Encoders and
decoders run on one thread: a benchmark distributes images over the cores itself.
"""
