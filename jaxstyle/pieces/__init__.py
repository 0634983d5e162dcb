"""Pictures put together from pieces of a painting: no network, and no optimisation."""
