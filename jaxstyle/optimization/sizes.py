"""Sizes of one picture, from coarse to fine."""


def scaled_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """Height and width with a longer side of `size`, at least one pixel each.

    Example:
      >>> scaled_shape((300, 400), 200)
      (150, 200)
    """
    factor = size / max(shape)
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def doubling_sizes(size: int, smallest: int) -> tuple[int, ...]:
    """Longer sides from coarse to fine, each about twice the one before.

    Args:
      size: the last one.
      smallest: the least that the first one may have, where `size` is not less; 0 for `size` alone.

    Example:
      >>> doubling_sizes(500, 64), doubling_sizes(50, 64), doubling_sizes(500, 0)
      ((125, 250, 500), (50,), (500,))
    """
    sizes = [size]
    while smallest and sizes[0] // 2 >= smallest:
        sizes.insert(0, sizes[0] // 2)
    return tuple(sizes)
