"""Zero-shot conditional generator: a network that turns labels and noise into images, trained
against a frozen classifier alone.

Choi, El-Khamy, Lee, "Zero-Shot Learning of a Conditional GAN for Data-Free Network Quantization",
arXiv 2210.14392. From the abstract: a conditional generator, no data, BatchNorm statistics. Our
choice, since neither code nor settings are published: the sum of the losses and their weights,
the network, the schedule, and the mode-seeking term (Mao et al. 2019, arXiv 1903.05628), without
which the images of a class collapse. With z ~ N(0, I) and balanced labels y, one step lowers

    ce_weight * CE(t(x), y) + bn_weight * L_BN(t; x) - diversity_weight * |x1 - x2| / |z1 - z2|

for x = g(z, y) and the frozen classifier t; x1, x2 share a label, |.| is the mean absolute value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, UserError
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.common import balanced_labels, device_of, frozen, save_state
from fedzda.generators.config import ZSCGANConfig
from fedzda.generators.quality import assess

_ASSESSED_IMAGES = 256


class ConditionalGenerator(nn.Module):
    """Noise and label embedding, a linear layer to a map of a quarter of the image's size, two
    transposed convolutions that double it.

    Pixels are sigmoids, in [0, 1]. Sizes that are no multiple of 4 are cropped from the next one.

    Args:
        config: Sizes of the noise, the embedding and the start map.
        image: Shape of the images and number of classes.
    """

    def __init__(self, config: ZSCGANConfig, image: ImageSpec) -> None:
        super().__init__()
        colours, self.height, self.width = image.shape
        wide, narrow = config.channels, config.channels // 2
        self.start_shape = (wide, -(-self.height // 4), -(-self.width // 4))
        start_size = wide * self.start_shape[1] * self.start_shape[2]
        self.embedding = nn.Embedding(image.num_classes, config.embedding_size)
        self.start = nn.Linear(config.z_size + config.embedding_size, start_size)
        self.body = nn.Sequential(
            nn.BatchNorm2d(wide),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1),
            nn.BatchNorm2d(narrow),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(narrow, colours, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, z_ND: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        """Images ``(N, C, H, W)`` in [0, 1]."""
        start = self.start(torch.cat([z_ND, self.embedding(labels_N)], dim=1))
        pixels: torch.Tensor = self.body(start.view(-1, *self.start_shape))
        return pixels[:, :, : self.height, : self.width]


class ZSCGAN:
    """A :class:`fedzda.base.Synthesizer` that trains a :class:`ConditionalGenerator`.

    A second ``fit`` continues from the generator of the first, with fresh Adam moments, so the
    generator's weights are all there is to keep between rounds.
    """

    Config = ZSCGANConfig

    def __init__(self, config: ZSCGANConfig) -> None:
        self.config = config
        self.generator: ConditionalGenerator | None = None

    def fit(
        self,
        classifier: nn.Module,
        classes: Sequence[int],
        image: ImageSpec,
        rng: torch.Generator,
    ) -> dict[str, float]:
        """Train the generator for ``steps`` steps and assess fresh samples.

        Args:
            classifier: Takes normalised images; its weights, buffers and modes are left as found.
            classes: Labels to draw; all classes together fit the stored statistics best.
            image: The images it was trained on.
            rng: CPU generator: initial weights, noise and labels all come from it.

        Returns:
            The figures of :func:`fedzda.generators.quality.assess`.

        Raises:
            UserError: No class asked for, or a classifier without BatchNorm statistics.
        """
        device = device_of(classifier)
        if self.generator is None:
            self.generator = _initial(self.config, image, rng)
        generator = self.generator.to(device).train()
        betas = (self.config.betas[0], self.config.betas[1])
        optimizer = torch.optim.Adam(generator.parameters(), self.config.lr, betas)
        with frozen(classifier), BNMatch(classifier, self.config.bn) as match:
            for _ in range(self.config.steps):
                labels = balanced_labels(classes, self.config.batch_size // 2, rng).repeat(2)
                z_ND = self._noise(len(labels), rng).to(device)
                pixels = generator(z_ND, labels.to(device))
                logits = classifier(image.normalize(pixels))
                loss = self.config.ce_weight * functional.cross_entropy(logits, labels.to(device))
                loss = loss + self.config.bn_weight * match.loss()
                loss = loss - self.config.diversity_weight * _mode_seeking(pixels, z_ND)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        labels = balanced_labels(classes, _ASSESSED_IMAGES, rng)
        return assess(classifier, self.sample(labels, rng), labels, image, self.config.bn)

    @torch.no_grad()
    def sample(self, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """One image per label, float32 ``(N, C, H, W)`` in [0, 1], on the device of ``labels``.

        With ``sample_mode: train`` an image also depends on the batch it is made in: labels are
        taken ``batch_size`` at a time in the order given, and the last batch is filled up with
        labels from the beginning; mix the classes in ``labels``.
        """
        generator = self._fitted()
        device = generator.start.weight.device
        batch_size, train = self.config.batch_size, self.config.sample_mode == "train"
        wanted = torch.arange(len(labels))
        if train and len(labels):
            wanted = torch.arange(-(-len(labels) // batch_size) * batch_size) % len(labels)
        noises = torch.split(self._noise(len(wanted), rng), batch_size)
        state = {k: v.clone() for k, v in generator.state_dict().items()} if train else {}
        generator.train(train)
        parts = [
            generator(z.to(device), labels[index].to(device))
            for z, index in zip(noises, torch.split(wanted, batch_size), strict=True)
        ]
        if train:
            generator.load_state_dict(state)  # sampling must not move the running statistics
        return torch.cat(parts)[: len(labels)].to(labels.device)

    def state(self) -> dict[str, torch.Tensor]:
        """The generator's weights and statistics, on the CPU."""
        return {k: v.detach().cpu().clone() for k, v in self._fitted().state_dict().items()}

    def load_state(self, state: Mapping[str, torch.Tensor], image: ImageSpec) -> None:
        """Take over a :meth:`state`. Raises UserError if it was made with other sizes."""
        generator = ConditionalGenerator(self.config, image)
        try:
            generator.load_state_dict(dict(state))
        except RuntimeError as error:
            raise UserError(
                "the saved generator does not fit the configuration of zs-cgan or the images "
                f"({error}). Use the sizes that it was trained with."
            ) from error
        self.generator = generator

    def save(self, path: Path, classifier_fingerprint: str = "") -> None:
        """Write :meth:`state` as safetensors, the fingerprint as metadata."""
        save_state(self.state(), path, self.config, classifier_fingerprint)

    def _noise(self, count: int, rng: torch.Generator) -> torch.Tensor:
        return torch.randn(count, self.config.z_size, generator=rng)

    def _fitted(self) -> ConditionalGenerator:
        if self.generator is None:
            raise RuntimeError("zs-cgan has no generator yet: call fit or load_state first")
        return self.generator


def _initial(config: ZSCGANConfig, image: ImageSpec, rng: torch.Generator) -> ConditionalGenerator:
    """A new generator whose weights come from ``rng``; torch's global stream stays untouched."""
    seed = int(torch.randint(2**62, (1,), generator=rng))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConditionalGenerator(config, image)


def _mode_seeking(pixels: torch.Tensor, z_ND: torch.Tensor) -> torch.Tensor:
    """Mean pixel difference of pairs over the mean difference of their noise."""
    first, second = pixels.chunk(2)
    z_first, z_second = z_ND.chunk(2)
    return (first - second).abs().mean() / (z_first - z_second).abs().mean()
