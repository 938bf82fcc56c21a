"""Zero-shot conditional generator: a network that turns labels and noise into images, trained
against a frozen classifier alone.

Choi, El-Khamy, Lee, "Zero-Shot Learning of a Conditional GAN for Data-Free Network Quantization",
arXiv 2210.14392. From the abstract: a conditional generator, no data, BatchNorm statistics. Our
choice, since neither code nor settings are published: the sum of the losses and their weights,
the networks, the schedule, the adversarial term (off by default; the published game stands in
:mod:`fedzda.generators.adversarial`), and the mode-seeking term (Mao et al. 2019, arXiv
1903.05628), without which the images of a class collapse. With z ~ N(0, I) and balanced labels y,
one step lowers

    ce_weight * CE(t(x), y) + bn_weight * L_BN(t; x) - diversity_weight * |x1 - x2| / |z1 - z2|
        - adversarial_weight * KL(t(x) || s(x))

for x = g(z, y), the frozen classifier t and a frozen student s; x1, x2 share a label, |.| is the
mean absolute value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, UserError
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.checks import check_classifier
from fedzda.generators.common import (
    balanced_labels,
    device_of,
    frozen,
    frozen_student,
    initial,
    scheduled,
    set_lr,
)
from fedzda.generators.config import ZSCGANConfig
from fedzda.generators.files import save_state
from fedzda.generators.history import History
from fedzda.generators.losses import kl_divergence, mode_seeking
from fedzda.generators.networks import Generator, build_network
from fedzda.generators.networks.sampling import sample_images
from fedzda.generators.quality import assess

_ASSESSED_IMAGES = 256


class ZSCGAN:
    """A :class:`fedzda.base.Synthesizer` that trains a conditional generator.

    A second ``fit`` continues from the generator of the first, with fresh Adam moments, so the
    generator's weights are all there is to keep between rounds.

    Args:
        config: Network, weights and schedule.
        student: What ``adversarial_weight`` is measured against: a classifier of the same images,
            left as it is. Assign ``student`` anew to follow one that learns.
    """

    Config = ZSCGANConfig

    def __init__(self, config: ZSCGANConfig, student: nn.Module | None = None) -> None:
        self.config = config
        self.student = student
        self.generator: Generator | None = None
        self.history: History | None = None
        """Losses of the last fit."""

    def fit(
        self,
        classifier: nn.Module,
        classes: Sequence[int],
        image: ImageSpec,
        rng: torch.Generator,
    ) -> dict[str, float]:
        """Train the generator for ``steps`` steps and assess fresh samples.

        Args:
            classifier: In eval mode, takes normalised images; left as found.
            classes: Labels to draw; all classes together fit the stored statistics best.
            image: The images it was trained on.
            rng: CPU generator: initial weights, noise and labels all come from it.

        Returns:
            The figures of :func:`fedzda.generators.quality.assess`.

        Raises:
            UserError: No class asked for, a classifier that cannot be inverted (see
                :func:`fedzda.generators.checks.check_classifier`) or has no BatchNorm statistics,
                or an adversarial term without a student.
        """
        check_classifier(classifier, image)
        config, device = self.config, device_of(classifier)
        if self.generator is None:
            self.generator = initial(lambda: self._network(image), rng)
        generator = self.generator.to(device).train()
        optimizer = torch.optim.Adam(
            generator.parameters(), config.lr, (config.betas[0], config.betas[1])
        )
        self.history = History(config.steps)
        with ExitStack() as stack:
            stack.enter_context(frozen(classifier))
            match = stack.enter_context(BNMatch(classifier, config.bn))
            student = self._student(stack, classifier)
            for step in range(1, config.steps + 1):
                set_lr(optimizer, scheduled(config.lr, config.schedule, step - 1, config.steps))
                labels = balanced_labels(classes, config.batch_size // 2, rng).repeat(2)
                z_ND = torch.randn(len(labels), config.z_size, generator=rng).to(device)
                losses = self._losses(z_ND, labels.to(device), classifier, match, student)
                optimizer.zero_grad()
                losses["total"].backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if self.history.wants(step):
                    self.history.add(step, {k: v.detach() for k, v in losses.items()})
        labels = balanced_labels(classes, _ASSESSED_IMAGES, rng)
        return assess(classifier, self.sample(labels, rng), labels, image, config.bn)

    def sample(self, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """One image per label, float32 ``(N, C, H, W)`` in [0, 1], on the device of ``labels``.

        With ``sample_mode: train`` an image also depends on the batch it is made in: labels are
        taken ``batch_size`` at a time in the order given, and the last batch is filled up with
        labels from the beginning; mix the classes in ``labels``. What a network with a BatchNorm
        head emits is clamped to [0, 1].
        """
        config = self.config
        return sample_images(self._fitted(), labels, rng, config.batch_size, config.sample_mode)

    def state(self) -> dict[str, torch.Tensor]:
        """The generator's weights and statistics, on the CPU."""
        return {k: v.detach().cpu().clone() for k, v in self._fitted().state_dict().items()}

    def load_state(self, state: Mapping[str, torch.Tensor], image: ImageSpec) -> None:
        """Take over a :meth:`state`. Raises UserError if it was made with other sizes."""
        generator = self._network(image)
        try:
            generator.load_state_dict(dict(state))
        except RuntimeError as error:
            raise UserError(
                "the saved generator does not fit the configuration of zs-cgan or the images "
                f"({error}). Use the sizes that it was trained with."
            ) from error
        self.generator = generator

    def save(self, path: Path, classifier_fingerprint: str = "") -> None:
        """Write :meth:`state` as safetensors; metadata as in ``fedzda.generators.files``."""
        image = self._fitted().image
        save_state(self.state(), path, self.config, classifier_fingerprint, image, self.history)

    def _losses(
        self,
        z_ND: torch.Tensor,
        labels_N: torch.Tensor,
        classifier: nn.Module,
        match: BNMatch,
        student: nn.Module | None,
    ) -> dict[str, torch.Tensor]:
        """Each term by itself, and their weighted ``total``."""
        config, generator = self.config, self._fitted()
        made = generator(z_ND, labels_N)
        seen = generator.seen(made)
        logits = classifier(seen)
        losses = {
            "ce": functional.cross_entropy(logits, labels_N),
            "bn": match.loss(),
            "diversity": mode_seeking(generator.pixels(made), z_ND),
        }
        total = config.ce_weight * losses["ce"]
        total = total + config.bn_weight * losses["bn"]
        total = total - config.diversity_weight * losses["diversity"]
        if student is not None:
            losses["adversarial"] = kl_divergence(logits, student(seen))
            total = total - config.adversarial_weight * losses["adversarial"]
        return {**losses, "total": total}

    def _student(self, stack: ExitStack, classifier: nn.Module) -> nn.Module | None:
        key = "zs-cgan.adversarial_weight"
        return frozen_student(stack, self.student, classifier, key, self.config.adversarial_weight)

    def _network(self, image: ImageSpec) -> Generator:
        config = self.config
        return build_network(
            config.network,
            image,
            config.z_size,
            config.embedding_size,
            config.channels,
            clamp=config.clamp,
        )

    def _fitted(self) -> Generator:
        if self.generator is None:
            raise RuntimeError("zs-cgan has no generator yet: call fit or load_state first")
        return self.generator
