"""Finds what files say of their colours, and hides from Pillow what would make it refuse a PNG."""

import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO

Colours = dict[bytes, bytes]
"""What PNG's chunks say of the colours, by the name of the chunk; "iCCP" is the profile itself."""

_SETTINGS = b"jaxstyle\0"  # the keyword of the text that holds the settings of a picture
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {b"cICP", b"sRGB", b"iCCP", b"gAMA", b"cHRM"}
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
# Without these a picture would not look the same; others that it may lack begin in lower case. The
# frames of an animation come after the picture that stands for all of it.
_NEEDED = {b"tRNS", b"eXIf"}
# The length of tRNS by the colour type, for grey and for RGB; a palette may have up to 256.
_KEY_LENGTHS = {0: 2, 2: 6}
_LONGEST_PROFILE = 2**26
_HEADER = 2**20  # bytes at the beginning of an AVIF or HEIC file that may say something of colours
_NCLX = re.compile(rb"colrnclx\0(.)\0(.)", re.DOTALL)


def separate(file: BinaryIO, *, settings: bool = False) -> tuple[BinaryIO, Colours]:
    """Separates what a PNG says of its colours from what Pillow has to read.

    Pillow refuses a picture with a long text or profile, or with a broken remark, all of which a
    viewer passes over. Viewers also pass over what is said of the colours in the wrong place.

    Args:
      file: any file, open at its beginning.
      settings: whether the text with the settings of a picture is wanted too.

    Returns:
      A copy in memory of what decides the pixels; a file other than PNG as it is. And what it says
      of its colours.
    """
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        file.seek(0)
        header = file.read(_HEADER)
        file.seek(0)
        return file, _nclx(header)
    colours: Colours = {}
    copy = BytesIO()
    copy.write(_SIGNATURE)
    early, colour_type = True, -1
    for kind, start, length in _chunks(file):
        if kind in _COLOURS:
            data = file.read(length)
            if early and _is_whole(kind, data, file):
                colours.setdefault(kind, _profile(data) if kind == b"iCCP" else data)
            continue
        if kind[:1].islower() and kind not in _NEEDED:
            wanted = settings and _holds_settings(kind, file)
        elif kind in _NEEDED:
            data = file.read(length)
            wanted = _is_whole(kind, data, file)
            wanted &= kind != b"tRNS" or length == _KEY_LENGTHS.get(colour_type, length)
        else:
            wanted, early = True, early and kind not in (b"PLTE", b"IDAT")
            if kind == b"IHDR":
                colour_type = (file.read(10)[9:] or b"\xff")[0]
        if wanted:
            file.seek(start)
            copy.write(file.read(12 + length))
    copy.seek(0)
    return copy, colours


def _is_whole(kind: bytes, data: bytes, file: BinaryIO) -> bool:
    """Tells whether the data of a chunk have their checksum, which the file is at."""
    return file.read(4) == struct.pack(">I", zlib.crc32(kind + data))


def _holds_settings(kind: bytes, file: BinaryIO) -> bool:
    return kind in _TEXTS and file.read(len(_SETTINGS)) == _SETTINGS


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yields the kind of each chunk, where it starts, and how long its data are.

    The file is then at the data.
    """
    start = file.tell()
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        yield kind, start, length
        if kind == b"IEND":
            return
        start += 12 + length
        file.seek(start)


def _profile(data: bytes) -> bytes:
    """Returns the profile of an iCCP chunk; nothing if it is broken, as viewers ignore it then."""
    _, _, compressed = data.partition(b"\0")
    try:
        stream = zlib.decompressobj()
        profile = stream.decompress(compressed[1:], _LONGEST_PROFILE)
    except zlib.error:
        return b""
    return profile if stream.eof else b""


def _nclx(header: bytes) -> Colours:
    """Returns the colours that an AVIF or HEIC file names by number, as PNG would name them."""
    if header[4:8] != b"ftyp" or b"colrprof" in header:  # there, a profile goes before numbers
        return {}
    named = _NCLX.search(header)
    return {} if named is None else {b"cICP": bytes([named[1][0], named[2][0], 0, 1])}
