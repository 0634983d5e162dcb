"""Readers of the kinds of file that hold networks: bytes in, arrays by name out.

Nothing here knows VGG-19's layers or runs code that a file names.
"""
