"""The host's side of the protocol, in a folder of its own: hosts find it there, and none of the benchmark's modules."""
