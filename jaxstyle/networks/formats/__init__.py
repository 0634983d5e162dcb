"""Readers for the kinds of file that hold networks: bytes in, arrays by name out.

Nothing here knows VGG-19's layers, and nothing runs code that a file names.
"""
