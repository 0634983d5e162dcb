"""Computes params/vgg19_activation_means.safetensors, which "vgg19-normalized" is made with.

The mean activation of every filter of Oxford's VGG-19 over a folder of photographs, each cut to
its central square and scaled to 256 px, with max pooling:

    python scripts/compute_activation_means.py PHOTOS --every 4
"""

import argparse
import hashlib
import json
from pathlib import Path

import jax
import numpy as np
from safetensors.numpy import save
from tqdm import tqdm

from jaxstyle._common import files
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.cli.networks import central_square, find_pictures
from jaxstyle.networks import vgg
from jaxstyle.networks.load import load_network

OUTPUT = Path(__file__).parents[1] / "params" / "vgg19_activation_means.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--network", default="vgg19", help="vgg19, or a file of it")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    parser.add_argument("--every", type=int, default=1, help="take every Nth photograph")
    arguments = parser.parse_args()

    network = load_network(arguments.network)
    if network.metadata["weights"] != "oxford":
        parser.error(f"{network.path}: not Oxford's VGG-19")
    paths = find_pictures([arguments.photos])[:: arguments.every]
    images = (central_square(path) for path in tqdm(paths))
    means = vgg.activation_means(network.params, images)
    notes = {
        "source": f"{len(paths)} photographs, central squares at 256 px, max pooling",
        "network_sha256": network.metadata["source_sha256"],
        "jax": jax.__version__,
    }
    data = save({name: np.asarray(mean) for name, mean in means.items()}, metadata=notes)
    with files.atomic_write(arguments.output) as partial:
        partial.write_bytes(data)
    print(json.dumps({"sha256": hashlib.sha256(data).hexdigest(), **notes}, indent=2))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
