"""Training of models. Only `uqdm.swirl` and the command line import it."""
