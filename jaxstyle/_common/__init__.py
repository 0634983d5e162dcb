"""Helpers for every part of the package: checks of arguments, files, devices, memory pages."""
