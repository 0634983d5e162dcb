"""Downloads published networks into the user's cache, converted and verified.

Each network has a list of sources. If a source fails in a way that may pass, it is tried again,
from where the transfer broke off; after that, the next source is tried. A downloaded file is
checked against its published checksum and converted to our own format, and only then gets its name.
A file in the cache is therefore always whole.
"""

import atexit
import contextlib
import functools
import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from jaxstyle.errors import DownloadError, FileFormatError
from jaxstyle.networks.catalogue import SOURCES, Source, cache
from jaxstyle.networks.layouts import convert
from jaxstyle.networks.save import save_params
from jaxstyle.networks.transport import Transfer, TransferError

_log = logging.getLogger("jaxstyle")
# Seconds before the first retry; each later one waits twice as long.
_BACKOFF = 0.5
_PREFIX = ".fetch-"
_STALE = 24 * 3600.0


def fetch(
    name: str,
    *,
    directory: str | Path | None = None,
    sources: Sequence[Source] | None = None,
    progress: bool = False,
    timeout: float = 30.0,
    retries: int = 3,
) -> Path:
    """Downloads a network and converts it, even if it is on this machine already.

    Args:
      name: "vgg19", "vgg19-torchvision", "vgg16" or "vgg16-torchvision".
      directory: where to keep it; by default the user's cache.
      sources: where to get it, in this order; by default the published places.
      progress: whether to show a progress bar on stderr.
      timeout: how many seconds without a byte make a server count as silent.
      retries: how often to ask a source again after a refused connection, a silent or busy server
        or an interrupted transfer. After a wrong checksum, it is asked only once more. If the file
        is missing or the address accepts no connection, it is not asked again.

    Returns:
      The path of `<name>.safetensors`.

    Raises:
      ValueError: if `name` has no sources.
      DownloadError: if no source gave the file; the message has the reason for each.

    Example:
      >>> fetch("vgg13")
      Traceback (most recent call last):
      ValueError: name should be one of vgg19, vgg19-torchvision, vgg16, ..., got 'vgg13'
    """
    if sources is None:
        if name not in SOURCES:
            raise ValueError(f"name should be one of {', '.join(SOURCES)}, got {name!r}")
        sources = SOURCES[name]
    folder = Path(directory) if directory is not None else cache()
    if folder is None:
        raise DownloadError(
            f"{name}: there is no home to keep it in; set XDG_CACHE_HOME to a folder"
        )
    failures, disk = [], None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder)
        for source in sources:
            # Each attempt has a folder of its own, because two processes may fetch at the same
            # time; after an interrupt the folder is removed with all that is in it.
            with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder) as partial:
                raw = Path(partial, source.url.partition("?")[0].rpartition("/")[2] or "file")
                try:
                    _download(source, raw, name, progress, timeout, retries)
                    params, metadata = convert(raw, source.layout)
                except (TransferError, FileFormatError) as error:
                    failures.append(f"{source.url}: {error}".replace(f"{raw}: ", ""))
                    continue
                target = folder / f"{name}.safetensors"
                save_params(target, params, metadata | {"source": source.url})
                return target
    except OSError as error:
        disk = error
        failures.append(f"{error.filename or folder}: {error.strerror or error}")
    reasons = "; ".join(failures) or "no sources"
    raise DownloadError(f"{name} could not be downloaded: {reasons}") from disk


def fetch_for_use(name: str, *, progress: bool, retries: int) -> Path:
    """Downloads a network into the cache, or for this process alone where nothing can be kept.

    Args:
      name: as for `fetch`.
      progress: as for `fetch`.
      retries: as for `fetch`.

    Returns:
      The path of `<name>.safetensors`.

    Raises:
      DownloadError: as for `fetch`.
    """
    folder = cache()
    reason = "there is no home folder"
    if folder is not None:
        try:
            return fetch(name, directory=folder, progress=progress, retries=retries)
        except DownloadError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            reason = f"{folder}: {error.__cause__.strerror or error.__cause__}"
    kept = _folder_of_this_process() / f"{name}.safetensors"
    if kept.is_file():
        return kept
    _log.warning(
        "%s is downloaded for this run alone, because it cannot be kept (%s); "
        "set XDG_CACHE_HOME to a folder that can be written",
        name,
        reason,
    )
    return fetch(name, directory=kept.parent, progress=progress, retries=retries)


@functools.cache
def _folder_of_this_process() -> Path:
    folder = tempfile.mkdtemp(prefix="jaxstyle-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _download(
    source: Source, target: Path, label: str, progress: bool, timeout: float, retries: int
) -> None:
    """Downloads and verifies one file, with as many retries as the failures are worth."""
    transfer = Transfer(source.url, target, source.size, label, progress, timeout)
    attempt = 0
    while True:
        try:
            transfer.attempt()
            _verify(target, source.known_hash)
            return
        except TransferError as error:
            if attempt >= min(retries, error.retries):
                count = f" ({attempt + 1} attempts)" if attempt else ""
                raise TransferError(f"{error}{count}", 0) from error
            wait = max(error.wait, _BACKOFF * 2**attempt)
        time.sleep(wait)
        attempt += 1


def _verify(path: Path, known_hash: str) -> None:
    algorithm, _, expected = known_hash.rpartition(":")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, algorithm or "sha256").hexdigest()
    if digest != expected.lower():
        size = path.stat().st_size
        path.unlink()  # what came is not worth going on with
        raise TransferError(
            f"wrong checksum: {algorithm} {digest} instead of {expected}, in {size} bytes", 1
        )


def _remove_stale(folder: Path) -> None:
    """Removes what killed processes left behind more than a day ago."""
    for left in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # another process may be removing it
            if time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left)
