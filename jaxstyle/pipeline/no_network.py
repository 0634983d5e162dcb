"""What stands for the network where a picture needs none."""

from pathlib import Path

from jaxstyle.networks.catalogue import titled
from jaxstyle.networks.load import Network

NO_NETWORK = Network({}, "", Path(), {})
"""Has no name."""


def with_network(network: Network) -> str:
    """Returns how a report says which network was used.

    Example:
      >>> with_network(NO_NETWORK)
      'without a network'
    """
    return f"with {titled(network.name, network.path)}" if network.name else "without a network"
