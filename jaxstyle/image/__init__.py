"""Pixels: resizing, noise, colour, films and contact sheets; `jaxstyle.image.io` handles files."""
