"""The diffusion process: forward and reverse steps, their rates, and reconstructions. Floating point only."""
