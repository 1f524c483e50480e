"""What is learned: noise schedule, denoisers and their checkpoints."""
