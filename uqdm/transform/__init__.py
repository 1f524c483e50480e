"""Transform coding: networks that make latents of images and images of latents, and models of the latents.

``contract`` says what every architecture offers, ``hyperpriors`` and ``blocks`` are the architectures, ``prior`` is the
model of the side information, ``checkpoint`` reads files of others, ``folder`` reads and writes the project's own, and
``zoo`` finds models by name.
"""
