"""Finds, loads, saves and checks network parameters.

A network is asked for by name or by path. `jaxstyle.networks.catalogue` says where names are looked
for, and `jaxstyle.networks.layouts` which files can be read. Importing this module reads nothing.
Its functions use the disk, and `load_network` uses the internet unless it is told not to.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxstyle._common.reading import sha256
from jaxstyle._common.terminal import watched
from jaxstyle.errors import DownloadError, FileFormatError
from jaxstyle.networks.catalogue import (
    COMPACT,
    FILES,
    NORMALIZED,
    PREFIXES,
    SOURCES,
    SUBSTITUTES,
    VGG19,
    NetworkStatus,
    base,
    cache,
    find_params,
    network_status,
    shipped,
    valid_names,
)
from jaxstyle.networks.collect import TITLES, Params
from jaxstyle.networks.formats.stored import refusing, shown
from jaxstyle.networks.layouts import (
    Metadata,
    check_params,
    convert,
    convert_any,
    network_name,
    widths,
)
from jaxstyle.networks.rescaling import normalize_params, rescale_params
from jaxstyle.networks.save import save_params

__all__ = [
    "Network",
    "NetworkStatus",
    "Verification",
    "check_params",
    "find_params",
    "load_network",
    "load_params",
    "network_status",
    "read_params",
    "save_params",
    "verify",
]

_log = logging.getLogger("jaxstyle")
_MEANS = "vgg19_activation_means.safetensors"


class Network(NamedTuple):
    """Parameters and where they come from.

    Attributes:
      params: `{"mean": [3], "conv1_1": {"kernel": [3, 3, ci, co], "bias": [co]}, ...}`.
      name: the network's name, or the stem of a file given by path.
      path: the file that was read.
      metadata: what is known about the parameters, as `layouts.convert` describes it. If this is
        not the network that was asked for, `fallback_reason` says why.
    """

    params: Params
    name: str
    path: Path
    metadata: Metadata


class Verification(NamedTuple):
    """What `verify` found in a file that is in order.

    Attributes:
      sha256: the file's checksum.
      layout: the layout of the file.
      network: "vgg19" or "vgg16" if the widths are theirs, otherwise "custom" or the name that the
        file gives.
      weights: "oxford", "torchvision" or "unknown".
      normalized: whether mean activations are one.
      known_as: the published file to which this one is identical, or None.
    """

    sha256: str
    layout: str
    network: str
    weights: str
    normalized: bool
    known_as: str | None


def read_params(path: str | Path) -> tuple[Params, Metadata]:
    """Reads parameters from a file in any known layout, our own or a published one.

    Args:
      path: the file.

    Returns:
      Parameters in our own form, as float32 NumPy arrays, and their metadata.

    Raises:
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file holds no such network.
    """
    return convert(path)


def load_params(
    name_or_path: str | Path = VGG19, *, download: bool = True, progress: bool | None = None
) -> Params:
    """Loads the parameters of a network, ready for `jaxstyle.features`.

    Args:
      name_or_path: "vgg19", "vgg19-normalized", "vgg19-torchvision", "vgg16", "vgg16-torchvision",
        "compact", or a file in any layout that `jaxstyle.networks.layouts` reads.
      download: whether to download a network that is not found on this machine.
      progress: whether to show a progress bar for the download; None shows it in a terminal.

    Returns:
      A dictionary from layer to float32 arrays,
      `{"mean": [3], "conv1_1": {"kernel": [3, 3, ci, co], "bias": [co]}, ...}`.

    Raises:
      ValueError: if the name is unknown.
      FileNotFoundError: if there is no such file, or none was found and `download` is false.
      DownloadError: if no source could be reached.
      FileFormatError: if the file holds no such network.
    """
    return load_network(name_or_path, download=download, progress=progress).params


def load_network(
    name_or_path: str | Path = VGG19,
    *,
    normalized: bool | None = None,
    images: Sequence[jax.Array] = (),
    fallback: str | None = None,
    download: bool = True,
    progress: bool | None = None,
) -> Network:
    """Loads a network like `load_params`, and says which file and which network it is.

    If "vgg19" or "vgg16" is neither found nor can be downloaded, torchvision's retrained network
    takes its place, with a warning to the logger "jaxstyle". That network is half a gigabyte, so it
    is downloaded only if there is no `fallback`.

    Args:
      name_or_path: as for `load_params`.
      normalized: whether to rescale the network so that each filter's mean activation is one; None
        leaves that to the name or the file. "compact" is normalised, and False gives it the scales
        of the VGG-19 that it was distilled from.
      images: images `[H, W, 3]` in [0, 1] to normalise over, if that is asked for. Oxford's VGG-19
        needs none, because the package ships its mean activations.
      fallback: a network, for example "compact", to take with a warning if a published one is
        neither found nor can be downloaded; None raises an error instead.
      download: as for `load_params`.
      progress: as for `load_params`.

    Returns:
      The parameters, as float32 JAX arrays, with their name, path and metadata.

    Raises:
      ValueError: if the name is unknown, or the network cannot be normalised as asked for.
      FileNotFoundError: as for `load_params`.
      DownloadError: as for `load_params`.
      FileFormatError: as for `load_params`.
    """
    if name_or_path == NORMALIZED and normalized is None:
        normalized = True
    # Without images, only Oxford's VGG-19 can be normalised, so nothing can replace it.
    replaceable = not normalized or bool(images)
    name, path, reason = _locate(name_or_path, download, progress, replaceable, fallback)
    try:
        params, metadata = read_params(path)
    except (FileFormatError, PermissionError) as error:
        if not download or path.parent != cache():
            raise
        _log.warning("%s; downloading it again", error)
        path = _fetch(name, progress)
        params, metadata = read_params(path)
    if reason:
        metadata = {**metadata, "fallback_reason": reason}
    named = isinstance(name_or_path, str) and name_or_path in FILES
    if named and name != COMPACT:
        published = name.partition("-")[0]
        if network_name(params) != published:
            raise FileFormatError(
                f"{path}: its layers and widths are not those of {TITLES[published]}, so it cannot "
                f"serve as {name!r}; to use it, give its path as the network"
            )
    is_normalized = metadata["normalized"] == "true"
    if is_normalized and normalized is False:
        params = _undo_normalization(params, metadata, path)
        metadata = {**metadata, "normalized": "false"}
    if normalized and not is_normalized:
        if metadata["weights"] == "oxford" and network_name(params) == VGG19:
            params = rescale_params(params, published_activation_means())
        else:
            params = _normalize_over(params, path, images)
            metadata = {**metadata, "normalized_over": f"{len(images)} images"}
        metadata = {**metadata, "normalized": "true"}
    return Network(jax.device_put(params), name, path, metadata)


def verify(path: str | Path) -> Verification:
    """Checks that a file holds a whole network, and recognises the published files.

    Args:
      path: a file in any layout.

    Returns:
      What the file is.

    Raises:
      FileNotFoundError: if there is no such file.
      FileFormatError: if the file is damaged, or holds another network or values that are not
        finite, or if it is one of the package's own files and differs from the manifest.
    """
    path = Path(path)
    params, metadata, layout = convert_any(path)
    digest = sha256(path)
    known_as = PREFIXES.get(digest[:8])
    for source in (source for sources in SOURCES.values() for source in sources):
        algorithm, expected = source.known_hash.split(":")
        if expected == (digest if algorithm == "sha256" else _digest(path, algorithm)):
            known_as = source.url.rpartition("/")[2]
    folder = shipped()
    manifest = folder / "manifest.json"
    entries = (
        json.loads(manifest.read_text(encoding="utf-8"))["files"] if manifest.is_file() else []
    )
    for entry in entries:
        if entry["sha256"] == digest:
            known_as = entry["name"]
        elif path.resolve() == (folder / entry["file"]).resolve():
            raise FileFormatError(
                f"{path}: not the file that the package shipped (SHA-256 {digest}, should be "
                f"{entry['sha256']}); install the package again"
            )
    return Verification(
        sha256=digest,
        layout=layout,
        network=network_name(params) or metadata["network"],
        weights=metadata["weights"],
        normalized=metadata["normalized"] == "true",
        known_as=known_as,
    )


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _locate(
    name_or_path: str | Path,
    download: bool,
    progress: bool | None,
    replaceable: bool = False,
    fallback: str | None = None,
) -> tuple[str, Path, str]:
    """Returns the name and path of the network to read, and why it is not the one asked for."""
    if not isinstance(name_or_path, str) or name_or_path not in FILES:
        path = Path(name_or_path)
        if path.is_dir():
            raise IsADirectoryError(f"{path}: this is a folder; name a file in it")
        if not path.exists() and (path.suffix or len(path.parts) > 1):
            raise FileNotFoundError(f"{path}: no such file; {valid_names()}")
        if not path.exists():
            raise ValueError(f"no network is called {str(path)!r}; {valid_names()}")
        return path.stem, path, ""
    name = name_or_path
    found = find_params(name)
    if found:
        return name, found, ""
    if name == COMPACT:
        raise FileNotFoundError(f"{shipped() / FILES[name][0]}: missing from this installation")
    try:
        return _obtain(name, download, progress, replaceable, fallback is not None)
    except (DownloadError, FileNotFoundError) as error:
        instead = find_params(fallback) if fallback is not None else None
        if fallback is None or instead is None:
            raise
        reason = str(error)
    _log.warning(
        "using the %s network; for the full one, run jaxstyle weights fetch %s (%s)",
        fallback,
        base(name),
        reason,
    )
    return fallback, instead, reason


def _obtain(
    name: str, download: bool, progress: bool | None, replaceable: bool, has_fallback: bool
) -> tuple[str, Path, str]:
    """Does the same as `_locate` for a published network that is not on this machine."""
    retrained = SUBSTITUTES.get(name) if replaceable else None
    substitute = find_params(retrained) if retrained else None
    if not download:
        reason = (
            f"{name} is not on this machine and downloads are off; run jaxstyle weights fetch "
            f"{base(name)}, or put its file into {cache() or 'a folder that JAXSTYLE_PARAMS names'}"
        )
        if retrained is None or substitute is None:
            raise FileNotFoundError(reason)
    else:
        # With a fallback at hand, nobody wants to wait for an address that is blocked.
        retries = 1 if has_fallback else 3
        _log.info("%s is not on this machine: downloading it", base(name))
        try:
            return name, _fetch(name, progress, retries), ""
        except DownloadError as error:
            if retrained is None or (has_fallback and substitute is None):
                raise
            reason = str(error)
        try:
            substitute = substitute or _fetch(retrained, progress, retries)
        except DownloadError as error:
            raise DownloadError(f"{reason}; {error}") from error
    _log.warning(
        "using torchvision's retrained %s (%s) because %s", TITLES[name], substitute, reason
    )
    return retrained, substitute, reason


def _fetch(name: str, progress: bool | None, retries: int = 3) -> Path:
    from jaxstyle.networks.download import fetch_for_use

    show = watched() if progress is None else progress
    return fetch_for_use(base(name), progress=show, retries=retries)


def _undo_normalization(params: Params, metadata: Metadata, path: Path) -> Params:
    """Gives each filter of a distilled network the scale of its VGG-19 filter."""
    if "channels" not in metadata:
        raise ValueError(
            f"{path}: these parameters are normalised, which cannot be undone; "
            "use others, or a recipe for a normalised network"
        )
    means = published_activation_means()
    scales = {}
    with refusing(path, "a distilled network"):
        taught = json.loads(metadata["channels"])
        for name in widths(params):
            channels, mean = taught[name], means[name]
            if len(channels) != len(params[name]["bias"]) or not set(channels) <= {
                *range(len(mean))
            }:
                raise ValueError(f"{shown(name)} does not come from so many channels of VGG-19")
            mean = mean[jnp.asarray(channels)]
            scales[name] = jnp.where(mean > 0, 1 / mean, 1.0)
    return rescale_params(params, scales)


def _normalize_over(params: Params, path: Path, images: Sequence[jax.Array]) -> Params:
    if not images:
        raise ValueError(
            f"{path}: only Oxford's VGG-19 can be normalised without photographs; normalise this "
            "one over photographs of yours with jaxstyle weights convert, and use that file"
        )
    _log.info(
        "%s: normalised over the pictures at hand (%d); jaxstyle weights convert makes a file that "
        "is the same for all pictures",
        path,
        len(images),
    )
    return normalize_params(params, images)


def published_activation_means() -> dict[str, jax.Array]:
    """Returns the mean activation of every filter of Oxford's VGG-19."""
    from safetensors.numpy import load_file

    path = shipped() / _MEANS
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing from this installation")
    return {name: jnp.asarray(mean) for name, mean in load_file(path).items()}
