"""The networks that can be asked for by name: their files on this machine, and their sources.

A name is looked for in three places, in this order: the one that the environment variable
JAXSTYLE_PARAMS names (a folder, or a single file, which then stands for "vgg19"), the package's own
`params`, and the user's cache. In each of them the file may be in our own format or a published
one. Where none has a name that is known, a file under any name will do whose header proves what it
holds.
"""

import os
from pathlib import Path
from typing import NamedTuple

from jaxstyle.networks.recognition import Recognised, find_by_content, recognise

_ENVIRONMENT = "JAXSTYLE_PARAMS"
VGG19, NORMALIZED, TORCHVISION = "vgg19", "vgg19-normalized", "vgg19-torchvision"
VGG16, VGG16_TORCHVISION, COMPACT = "vgg16", "vgg16-torchvision", "compact"
PAINTBOX, FILM, BRUSH = "paintbox", "paintbox-video", "brush"
# The network that takes the place of one that is neither on this machine nor downloadable.
SUBSTITUTES = {VGG19: TORCHVISION, VGG16: VGG16_TORCHVISION}
_DESCRIPTIONS = {
    VGG19: "VGG-19 as published by Oxford (Simonyan & Zisserman), the field's usual network",
    NORMALIZED: "the same, rescaled so that each filter's mean activation is one",
    TORCHVISION: "VGG-19 as retrained for torchvision",
    VGG16: "VGG-16 as published by Oxford: three convolutions fewer",
    VGG16_TORCHVISION: "VGG-16 as retrained for torchvision",
    COMPACT: "a small network with VGG-19's layers, shipped with this package",
}
_FAST_DESCRIPTIONS = {
    PAINTBOX: "paints in one pass, in five styles; shipped with this package",
    FILM: "the same five styles, for films: goes on from the frame before; shipped too",
    BRUSH: "makes pixels of features, for any painting; shipped with this package",
}
# The names under which a network's file may be found, our own first. The name only tells where to
# look; the contents decide the layout.
FILES = {
    VGG19: (
        "vgg19.safetensors",
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "vgg19_weights_tf_dim_ordering_tf_kernels.h5",
        "imagenet-vgg-verydeep-19.mat",
        "vgg_conv.pth",
        "vgg19-d01eb7cb.pth",
        "VGG_ILSVRC_19_layers.caffemodel",
    ),
    NORMALIZED: ("vgg19-normalized.safetensors",),
    TORCHVISION: ("vgg19-torchvision.safetensors", "vgg19-dcbb9e9d.pth"),
    VGG16: (
        "vgg16.safetensors",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "imagenet-vgg-verydeep-16.mat",
        "vgg16-00b39a1b.pth",
        "VGG_ILSVRC_16_layers.caffemodel",
    ),
    VGG16_TORCHVISION: ("vgg16-torchvision.safetensors", "vgg16-397923af.pth"),
    COMPACT: ("compact.safetensors",),
}
# What a file under another name has to be.
_CONTENTS = {
    VGG19: Recognised(VGG19, "oxford"),
    NORMALIZED: Recognised(VGG19, "oxford", normalized=True),
    TORCHVISION: Recognised(VGG19, "torchvision"),
    VGG16: Recognised(VGG16, "oxford"),
    VGG16_TORCHVISION: Recognised(VGG16, "torchvision"),
}
# Networks that paint in one pass.
FAST_FILES = {PAINTBOX: "paintbox.safetensors", FILM: "paintbox-video.safetensors"}
# Decoders, which make pixels of the compact network's maps.
DECODER_FILES = {BRUSH: "brush.safetensors"}
# PyTorch's file names carry the beginning of the file's SHA-256.
PREFIXES = {
    "dcbb9e9d": "vgg19-dcbb9e9d.pth",
    "d01eb7cb": "vgg19-d01eb7cb.pth",
    "397923af": "vgg16-397923af.pth",
    "00b39a1b": "vgg16-00b39a1b.pth",
}


class Source(NamedTuple):
    """A place from which a network can be downloaded.

    Attributes:
      url: the file's address.
      known_hash: algorithm and hexadecimal digest, such as `"sha256:11ae..."`.
      layout: the layout of the file, as `jaxstyle.networks.layouts.convert` takes it.
      size: the most bytes that the file may have; None if it is not known.
    """

    url: str
    known_hash: str
    layout: str = "auto"
    size: int | None = None


SOURCES: dict[str, tuple[Source, ...]] = {
    VGG19: (
        Source(
            "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/"
            "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5:253f8cb515780f3b799900260a226db6",
            "keras",
            80_134_624,
        ),
    ),
    TORCHVISION: (
        Source(
            "https://huggingface.co/timm/vgg19.tv_in1k/resolve/main/model.safetensors",
            "sha256:11aea017b543ff59233749d8f1cf544cda749378f5790d2fedab841fb86b7669",
            "torchvision",
            574_700_000,  # 143,667,240 values of four bytes, and the header
        ),
    ),
    VGG16: (
        Source(
            "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
            "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "md5:6d6bbae143d832006294945121d1f1fc",
            "keras",
            58_889_256,
        ),
    ),
    VGG16_TORCHVISION: (
        Source(
            "https://huggingface.co/timm/vgg16.tv_in1k/resolve/main/model.safetensors",
            "sha256:57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8",
            "torchvision",
            553_500_000,  # 138,357,544 values of four bytes, and the header
        ),
        Source(
            "https://download.pytorch.org/models/vgg16-397923af.pth",
            "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            "torchvision",
            553_433_881,
        ),
    ),
}


class NetworkStatus(NamedTuple):
    """One line of `jaxstyle weights list`.

    Attributes:
      name: the name to ask for.
      path: the network's file on this machine, or None.
      sources: the addresses from which it can be downloaded.
      description: one line.
    """

    name: str
    path: Path | None
    sources: tuple[str, ...]
    description: str


def find_params(name: str) -> Path | None:
    """Returns the file of a network, if there is one on this machine.

    Args:
      name: a network's name. The file of "vgg19" also serves "vgg19-normalized".

    Returns:
      The first file found in JAXSTYLE_PARAMS, the package's `params` and the user's cache, or None.
      A name that is known counts before a file whose content is, and of these the first by name.

    Raises:
      ValueError: if no network has that name.
      FileNotFoundError: if JAXSTYLE_PARAMS names nothing that exists.
    """
    if name not in FILES:
        raise ValueError(f"no network is called {name!r}; {valid_names()}")
    places = [place for place in (shipped(), cache()) if place is not None]
    environment = os.environ.get(_ENVIRONMENT)
    if environment:
        place = Path(os.path.expanduser(environment))
        if not place.exists():
            raise FileNotFoundError(
                f"{_ENVIRONMENT}={environment}: no such file or folder; "
                "name one that holds network parameters, or unset it"
            )
        if place.is_file() and base(name) == VGG19:
            return place
        places.insert(0, place)
    names = list(dict.fromkeys((name, base(name))))
    files = [file for each in names for file in FILES[each]]
    candidates = (place / file for place in places for file in files)
    # Unlike the method of `Path`, this says no where a folder may not even be looked into.
    named = next((path for path in candidates if os.path.isfile(path)), None)
    wanted = [_CONTENTS[each] for each in names if each in _CONTENTS]
    found = (path for each in wanted for place in places for path in find_by_content(place, each))
    return named or next(found, None)


def name_by_content(path: Path) -> str | None:
    """Returns the name that asks for what a file holds, as far as its header proves it."""
    found = recognise(path)
    return next((name for name, content in _CONTENTS.items() if content == found), None)


def titled(name: str, path: Path) -> str:
    """Returns how a network is called in a report: with its file, if that has another name.

    Args:
      name: the network's name, or the stem of a file given by path.
      path: its file.

    Example:
      >>> titled("vgg19", Path("vgg19.safetensors")), titled("vgg19", Path("from-caffe.h5"))
      ('vgg19', 'vgg19 (from-caffe.h5)')
    """
    known = (*FILES.get(name, ()), *FILES.get(base(name), ()))
    return name if path.stem == name or path.name in known else f"{name} ({path.name})"


def find_fast_network(name: str) -> Path:
    """Returns the file of a network that paints in one pass, or of a decoder.

    Args:
      name: "paintbox" or "brush", which the package ships, or the path of a file.
    """
    file = (FAST_FILES | DECODER_FILES).get(name)
    return Path(name) if file is None else shipped() / file


def network_status() -> tuple[NetworkStatus, ...]:
    """Lists the networks, and says which of them are on this machine.

    Returns:
      One entry for each name.

    Raises:
      FileNotFoundError: if JAXSTYLE_PARAMS names nothing that exists.
    """
    loss_networks = tuple(
        NetworkStatus(
            name,
            find_params(name),
            tuple(source.url for source in SOURCES.get(base(name), ())),
            description,
        )
        for name, description in _DESCRIPTIONS.items()
    )
    return loss_networks + tuple(
        NetworkStatus(name, path if path.is_file() else None, (), description)
        for name, description in _FAST_DESCRIPTIONS.items()
        for path in [find_fast_network(name)]
    )


def cache() -> Path | None:
    """Returns the folder where downloaded parameters are kept; it need not exist.

    Returns:
      The operating system's place for caches, `~/.cache/jaxstyle` on Linux. None for a user without
      a home, such as an unknown one in a container.
    """
    import pooch

    try:
        folder = Path(pooch.os_cache("jaxstyle"))
    except RuntimeError:  # platformdirs knows no home
        return None
    return folder if folder.is_absolute() else None  # older versions return "~/.cache" as it is


def shipped() -> Path:
    """Returns the folder of the parameters that the package ships.

    Returns:
      `params` beside the package in a checkout, inside it in an installed copy.
    """
    package = Path(__file__).resolve().parents[1]
    beside = package.parent / "params"
    # The manifest tells our folder from any other folder of that name in site-packages.
    return beside if (beside / "manifest.json").is_file() else package / "params"


def base(name: str) -> str:
    """Returns the network whose file serves a name.

    Args:
      name: a network's name.

    Returns:
      "vgg19" for "vgg19-normalized", otherwise the name itself.
    """
    return VGG19 if name == NORMALIZED else name


def valid_names() -> str:
    """Returns the end of a message about an unknown name.

    Returns:
      The names that can be asked for.

    Example:
      >>> valid_names()
      'use vgg19, vgg19-normalized, vgg19-torchvision, vgg16, vgg16-torchvision, compact or the
      path of a file'
    """
    return f"use {', '.join(FILES)} or the path of a file"
