"""Channel simulation: sending a sample of q with about KL(q || p) bits, where both sides share randomness.

A file a method, behind one contract (:class:`uqdm.channel.contract.Simulator`): what an encoder sends is a real string
of bits, and the decoder gets the very sample. NumPy only; ``docs/channel-simulation.md`` holds what they cost.
"""
