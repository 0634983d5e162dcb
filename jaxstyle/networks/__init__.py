"""Loss networks: VGG as a Flax module, and ways to find, read and save its parameters."""
