"""Pixels: resizing, noise, colour, films and sheets; `jaxstyle.image.io` reads and writes files."""
