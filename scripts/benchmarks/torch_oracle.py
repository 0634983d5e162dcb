"""Computes the same network and objective in PyTorch, for comparison only.

Parity tests and benchmarks run both sides on the same parameters, images and weights.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from jaxstyle.losses.spec import LossSpec, LossWeights
from jaxstyle.networks.vgg import network_widths


class Oracle:
    """Computes VGG-19 and the objective of style transfer, channels last.

    Args:
      params: canonical parameters, as jaxstyle has them.
      spec: what is compared.
      weights: how much each part counts.
      dtype: what it computes in.
      device: where it computes.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        spec: LossSpec,
        weights: LossWeights,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ):
        self.dtype, self.device = dtype, device
        self.mean = torch.tensor(np.array(params["mean"]), dtype=dtype, device=device)
        self.convolutions = {}
        for name, _ in network_widths(params):
            kernel, bias = (
                torch.tensor(np.array(params[name][kind]), dtype=dtype, device=device)
                for kind in ("kernel", "bias")
            )
            kernel = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
            self.convolutions[name] = kernel, bias
        self.spec = spec
        resolved = weights.resolve(spec)
        self.content_weights = [float(w) for w in np.array(resolved.content)]
        self.style_weights = [float(w) for w in np.array(resolved.style)]
        self.out_of_range = float(np.array(resolved.out_of_range))

    def features(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Returns feature maps `[1, c, h, w]` of an image `[1, 3, H, W]`, no deeper than asked."""
        wanted, found = set(layers), {}
        pool = (
            functional.max_pool2d if self.spec.network.pooling == "max" else functional.avg_pool2d
        )
        x, block = image - self.mean[None, :, None, None], "1"
        for name, (kernel, bias) in self.convolutions.items():
            if name[4] != block:
                x, block = pool(x, 2), name[4]
            if self.spec.network.padding == "zero":
                x = functional.conv2d(x, kernel, bias, padding=1)
            else:
                x = functional.conv2d(
                    functional.pad(x, (1, 1, 1, 1), mode=self.spec.network.padding), kernel, bias
                )
            if name in wanted:
                found[name] = x
            x = functional.relu(x)
            if f"relu{name[4:]}" in wanted:
                found[f"relu{name[4:]}"] = x
            if len(found) == len(wanted):
                break
        return found

    def set_targets(self, content: np.ndarray, style: np.ndarray) -> None:
        """Computes the targets from images `[H, W, 3]`."""
        with torch.no_grad():
            maps = self.features(self.to_torch(content), self.spec.content_layers)
            self.content = {k: v.clone() for k, v in maps.items()}
            maps = self.features(self.to_torch(style), self.spec.style_layers)
            self.grams = {k: gram_matrix(v) for k, v in maps.items()}
            size = sum(
                w * self.content[k].square().mean()
                for w, k in zip(self.content_weights, self.spec.content_layers, strict=True)
            )
            size += sum(
                w * self.grams[k].square().mean()
                for w, k in zip(self.style_weights, self.spec.style_layers, strict=True)
            )
            self.size = float(size)

    def objective(self, image: Tensor) -> Tensor:
        """Returns the objective of an image `[1, 3, H, W]`; total variation is left out."""
        maps = self.features(image.contiguous(memory_format=torch.channels_last), self.spec.layers)
        loss = self.out_of_range * self.size * (image - image.clamp(0, 1)).square().mean()
        for weight, layer in zip(self.content_weights, self.spec.content_layers, strict=True):
            loss = loss + weight * functional.mse_loss(maps[layer], self.content[layer])
        for weight, layer in zip(self.style_weights, self.spec.style_layers, strict=True):
            gram = gram_matrix(maps[layer])
            loss = loss + weight * functional.mse_loss(gram, self.grams[layer])
        return loss

    def objective_and_gradient(self, image: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the objective of an image `[H, W, 3]` and its gradient."""
        variable = self.to_torch(image).requires_grad_()
        loss = self.objective(variable)
        loss.backward()
        return float(loss.detach()), from_torch(variable.grad)

    def minimize(
        self,
        image: np.ndarray,
        evaluations: int,
        callback: Callable[[float], None] = lambda loss: None,
    ) -> list[float]:
        """Runs `torch.optim.LBFGS` with lr 1, history 100 and no line search.

        Args:
          image: `[H, W, 3]`, where to start.
          evaluations: how often the objective and its gradient are evaluated.
          callback: called with the loss after each evaluation.

        Returns:
          The loss of each evaluation.
        """
        # Contiguous: torch.optim.LBFGS views the gradient as one vector.
        variable = self.to_torch(image).contiguous().requires_grad_()
        losses: list[float] = []
        solver = torch.optim.LBFGS(
            [variable],
            lr=1,
            max_iter=evaluations,
            max_eval=evaluations,
            history_size=100,
            tolerance_grad=0,
            tolerance_change=0,
        )

        def closure() -> Tensor:
            solver.zero_grad()
            loss = self.objective(variable)
            loss.backward()
            losses.append(float(loss.detach()))
            callback(losses[-1])
            return loss

        while len(losses) < evaluations:
            before = len(losses)
            solver.step(closure)
            if len(losses) == before + 1:
                break  # the solver refuses to move any further
        return losses[:evaluations]

    def to_torch(self, image: np.ndarray) -> Tensor:
        """Converts as `to_torch`, to the oracle's type and its device."""
        return to_torch(image, self.dtype).to(self.device)


def gram_matrix(features: Tensor) -> Tensor:
    """Returns `[c, c]` from `[1, c, h, w]`, divided by the number of positions."""
    flat = features[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


def to_torch(image: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
    """Returns `[1, 3, H, W]`, channels last in memory, from `[H, W, 3]`."""
    tensor = torch.tensor(np.array(image), dtype=dtype).permute(2, 0, 1)[None]
    return tensor.contiguous(memory_format=torch.channels_last)


def from_torch(image: Tensor) -> np.ndarray:
    """Returns `[H, W, 3]` from `[1, 3, H, W]`."""
    return image.detach()[0].permute(1, 2, 0).cpu().numpy()
