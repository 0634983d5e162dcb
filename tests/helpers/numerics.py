"""Comparisons and derivatives in float64."""

import numpy as np


def close(got, expected, tolerance=1e-5):
    """Equal within a fraction of the largest expected value."""
    expected = np.asarray(expected, np.float64)
    assert got.shape == expected.shape
    error = np.abs(np.asarray(got, np.float64) - expected).max()
    assert error <= tolerance * np.abs(expected).max()


def numerical_gradient(function, x, step=1e-6):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        gradient[index] = (function(ahead) - function(behind)) / (2 * step)
    return gradient
