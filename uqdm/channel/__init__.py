"""Channel simulation: sending a sample of q with about KL(q || p) bits, where both sides share randomness.

Each method is one file and implements :class:`uqdm.channel.contract.Simulator`. An encoder sends a real string of bits,
from which the decoder gets exactly the same sample. ``docs/channel-simulation.md`` has measured costs.
"""
