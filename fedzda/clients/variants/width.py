"""Narrow models: every layer keeps a share of its channels.

``heterofl`` keeps the first ones (HeteroFL, Diao, Ding, Tarokh, ICLR 2021, arXiv 2010.01264,
section 3). ``fedrolex`` keeps a window that moves by one channel per round (FedRolex, Alam, Liu,
Yan, Zhang, NeurIPS 2022, arXiv 2212.01548, equation 3). ``fjord`` keeps the first ones of a width
drawn from ``widths`` (ordered dropout: FjORD, Horvath et al., NeurIPS 2021, arXiv 2102.13451,
section 3). The server averages every entry over the clients that have trained it.

Our deviations: channels are kept by *space* (:mod:`fedzda.clients.variants.channels`), so that
sums and depthwise convolutions fit; HeteroFL's scaler counts the inputs that a layer lacks, the
last layer's too, where the authors' code divides what every other layer gives by the ratio to the
widest model, and it stays on in tests, where our devices run the narrow model and not the full one;
the masked cross entropy is left out; static BatchNorm looks at
the client's own samples, not at everybody's; FjORD draws for every batch, we for every client and
round, and it distils between widths. Limit case: ratio 1 is the full model.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.base import Cost, ImageSpec, Turn, UserError, numpy_rng
from fedzda.clients.models.resnet import PadShortcut
from fedzda.clients.variants.channels import Features, Plan, plan_of
from fedzda.clients.variants.config import WidthConfig
from fedzda.clients.variants.costs import measured
from fedzda.clients.variants.full import Arrays, Form
from fedzda.clients.variants.narrow import narrow
from fedzda.clients.weights import snapshot

Kept = dict[int, np.ndarray]
"""Space to the channels that are kept, ascending."""
_BATCH = 256
_RESIZED = (nn.Conv2d, nn.Linear, _BatchNorm, nn.GroupNorm, PadShortcut)


class Width(Form):
    """A narrower model; see the module.

    Args:
        config: Ratio and method.
        model: The architecture; not changed.
        image: The images of the run.

    Raises:
        UserError: The model cannot be made narrower.
    """

    Config = WidthConfig
    config: WidthConfig

    def __init__(self, config: WidthConfig, model: nn.Module, image: ImageSpec) -> None:
        super().__init__(config, model, image)
        self.plan: Plan = plan_of(model, image)
        normed = any(isinstance(module, _BatchNorm) for module in model.modules())
        self.personal = normed and config.batchnorm == "static" and not config.whole
        self._skeletons: dict[tuple[int, ...], nn.Module] = {}
        try:
            self._cost = measured(self.build(model, Turn(0, 0, 1, training=False)), image)
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the model cannot be made narrower: with {config.ratio:g} of its channels it "
                f"fails ({error}). Choose variant 'full', or another model."
            ) from None

    def kept(self, turn: Turn) -> Kept:
        """The channels of every space that a device has in a round."""
        ratio = self._ratio(turn)
        return {
            space: np.arange(size) if space in self.plan.fixed else self._chosen(size, ratio, turn)
            for space, size in self.plan.sizes.items()
        }

    def _ratio(self, turn: Turn) -> float:
        config = self.config
        if config.method != "fjord" or not turn.training:
            return config.ratio
        rungs = sorted({width for width in config.widths if width < config.ratio} | {config.ratio})
        rng = numpy_rng(turn.seed, "fjord", turn.round, turn.client)
        return rungs[int(rng.integers(len(rungs)))]

    def _chosen(self, size: int, ratio: float, turn: Turn) -> np.ndarray:
        first = np.arange(max(1, math.ceil(ratio * size - 1e-9)))
        if self.config.method != "fedrolex":
            return first
        return np.sort((first + turn.round - 1) % size)

    def build(self, model: nn.Module, turn: Turn) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        kept = self.kept(turn)
        device_model = self._skeleton(kept)
        index = self._index(kept)
        arrays = model.state_dict()
        with torch.no_grad():
            for name, value in device_model.state_dict().items():
                found = arrays[name]
                for dim, places in enumerate(index.get(name, ())):
                    found = found.index_select(dim, torch.from_numpy(places).to(found.device))
                value.copy_(found)
        return device_model

    def _skeleton(self, kept: Kept) -> nn.Module:
        """A model with the right shapes; channels that move need no new one, shortcuts do."""
        moving = any(isinstance(module, PadShortcut) for module in self.template.modules())
        key = tuple(len(own) for own in kept.values())
        if moving and self.config.method == "fedrolex":
            return self._made(kept)
        if key not in self._skeletons:
            self._skeletons[key] = self._made(kept)
        return copy.deepcopy(self._skeletons[key])

    def _made(self, kept: Kept) -> nn.Module:
        made = copy.deepcopy(self.template)
        for name, (read, given) in self.plan.layers.items():
            module = made.get_submodule(name)
            if not isinstance(module, _RESIZED):
                continue
            reads, gives = (torch.from_numpy(self._places(own, kept)) for own in (read, given))
            parent, _, leaf = name.rpartition(".")
            small = narrow(module, reads, gives, self.config.scale)
            for part, weight in small.named_parameters():
                weight.requires_grad_(module.get_parameter(part).requires_grad)
            setattr(made.get_submodule(parent), leaf, small)
        device = next(self.template.parameters()).device
        found: Any = made.to(device)
        found.to(memory_format=torch.channels_last)
        result: nn.Module = found
        return result

    def _index(self, kept: Kept) -> dict[str, tuple[np.ndarray, ...]]:
        """Places of the kept entries in the arrays of the global model, for its first dimensions;
        arrays that are kept whole are left out."""
        index: dict[str, tuple[np.ndarray, ...]] = {}
        for name, (read, given) in self.plan.layers.items():
            module = self.template.get_submodule(name)
            reads, gives = self._places(read, kept), self._places(given, kept)
            two = isinstance(module, nn.Linear) or (
                isinstance(module, nn.Conv2d) and module.groups == 1
            )
            for part, value in module.state_dict().items():
                if value.dim():
                    index[f"{name}.{part}"] = (
                        (gives, reads) if two and value.dim() > 1 else (gives,)
                    )
        return index

    def _places(self, features: Features, kept: Kept) -> np.ndarray:
        """Numbers of the features kept: those of every kept channel."""
        found, before = [], 0
        for space, repeat in features:
            places = kept[space][:, None] * repeat + np.arange(repeat)
            found.append(before + places.ravel())
            before += self.plan.sizes[space] * repeat
        return np.concatenate(found)

    def deploy(
        self, device_model: nn.Module, images_NCHW: torch.Tensor | None, turn: Turn
    ) -> nn.Module:
        """See :class:`fedzda.base.Variant`: with ``static`` BatchNorm its statistics are computed
        on the client's samples; without samples they are the global ones."""
        if self.personal and images_NCHW is not None and len(images_NCHW):
            static_statistics(device_model, images_NCHW)
        return device_model.eval()

    def to_global(self, device_model: nn.Module, turn: Turn) -> tuple[Arrays, Arrays]:
        """See :class:`fedzda.base.Variant`."""
        index, arrays, coverage = self._index(self.kept(turn)), {}, {}
        shapes = {name: value.shape for name, value in self.template.state_dict().items()}
        for name, value in snapshot(device_model).items():
            arrays[name] = value
            if value.shape == tuple(shapes[name]):
                continue
            places = np.ix_(*index[name])
            arrays[name] = np.zeros(shapes[name], value.dtype)
            coverage[name] = np.zeros(shapes[name], bool)
            arrays[name][places] = value
            coverage[name][places] = True
        return arrays, coverage

    def cost(self) -> Cost:
        """See :class:`fedzda.base.Variant`: of the widest model that the device trains."""
        return self._cost


@torch.no_grad()
def static_statistics(model: nn.Module, images_NCHW: torch.Tensor) -> None:
    """Set the statistics of BatchNorm to the mean of those of batches of normalised images, with
    all other layers as in a test.

    One image alone leaves them as they are: a layer behind the last pooling has no variance then.
    """
    if len(images_NCHW) == 1:
        return
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [module.momentum for module in norms]
    model.eval()  # dropout would change the statistics, and draw from whatever came before
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a cumulative mean
        module.train()
    for images in torch.tensor_split(images_NCHW, -(-len(images_NCHW) // _BATCH)):
        model(images)
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
