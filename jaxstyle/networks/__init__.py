"""Loss networks: VGG as a Flax module, and how its parameters are found, read and kept."""
