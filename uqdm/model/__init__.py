"""Models: noise schedules, denoisers and checkpoints."""
