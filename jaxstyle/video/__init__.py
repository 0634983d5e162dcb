"""Moving pictures: flow and warping, temporal losses, frames in and out."""
