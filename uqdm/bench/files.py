"""The former place of :mod:`uqdm.files`."""

from uqdm.files import replacing, sweep_temporaries, write_bytes

__all__ = ["replacing", "sweep_temporaries", "write_bytes"]
