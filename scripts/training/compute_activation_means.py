"""Computes params/vgg19_activation_means.safetensors, with which "vgg19-normalized" is made.

    python -m scripts.training.compute_activation_means PHOTOS --every 4

The file holds the mean activation of every filter of Oxford's VGG-19, with max pooling, over the
photographs of a folder. Each photograph is cut to its central square and scaled to 256 px.
"""

import hashlib
import json
from pathlib import Path

import jax
import numpy as np
from safetensors.numpy import save
from tqdm import tqdm

from jaxstyle._common import files
from jaxstyle._common.files import find_pictures
from jaxstyle._common.huge_pages import restart_with_huge_pages
from jaxstyle.cli.networks import central_square
from jaxstyle.networks import vgg
from jaxstyle.networks.load import load_network
from scripts.command_line import make_parser

OUTPUT = Path(__file__).parents[2] / "params" / "vgg19_activation_means.safetensors"


def main() -> None:
    parser = make_parser("scripts.training.compute_activation_means", __doc__)
    add = parser.add_argument
    add("photos", type=Path, metavar="PHOTOS", help="folder of photographs")
    add("--network", default="vgg19", help="Oxford's VGG-19, or a file of it")
    add("-o", "--output", type=Path, default=OUTPUT, help="file to write")
    add("--every", type=int, default=1, metavar="N", help="take every Nth photograph")
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
    files.write_bytes(arguments.output, data)
    print(json.dumps({"sha256": hashlib.sha256(data).hexdigest(), **notes}, indent=2))


if __name__ == "__main__":
    restart_with_huge_pages()
    main()
