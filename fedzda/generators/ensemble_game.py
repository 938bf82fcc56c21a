"""Distillation of an ensemble of frozen classifiers into students of any architecture, without
data.

DENSE (Zhang, Chen, Li, Lyu, Wu, Ding, Shen, Wu, NeurIPS 2022, arXiv 2112.12371) and FedFTG (Zhang,
Shen, Ding, Tao, Duan, CVPR 2022, arXiv 2203.09249). With the members f_k, the share a_k(y) of
member k for class y, the students s_i and x = g(z, y):

    E(x, y) = sum_k a_k(y) f_k(x)                                     logits of the ensemble
    min_g  ce * CE(E, y) + bn * mean_k L_BN(f_k; x) - diversity * |x1 - x2| / |z1 - z2|
           - adversarial * mean_i mean_x w_i(x) KL(E || s_i)
    min_s  KL(E || s_i), for every student

a_k(y) = 1/K and w_i(x) = 1 where argmax E != argmax s_i, else 0, are DENSE's; a_k(y) = n_k(y) /
sum_j n_j(y) and w = 1 are FedFTG's, which draws y as often as sum_k n_k(y). Our deviations: one
game plays several students; its generator goes on from game to game, where DENSE begins anew for
every batch and keeps all images; FedFTG's divergence is a sum over members, ours is that of the
ensemble; mode seeking is in the place of FedFTG's diversity term; no image is augmented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.base import ImageSpec
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.common import balanced_labels, device_of, frozen, initial
from fedzda.generators.ensemble_config import EnsembleGameConfig
from fedzda.generators.losses import kl_divergence, mode_seeking
from fedzda.generators.networks import Generator, build_network

Losses = dict[str, torch.Tensor]


class Ensemble(nn.Module):
    """Several classifiers as one that knows which class an image is made for.

    Args:
        members: K classifiers of the same images and classes.
        weights_KC: What each counts for an image of each class; columns sum to 1.
    """

    def __init__(self, members: Sequence[nn.Module], weights_KC: torch.Tensor) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.weights_KC = weights_KC

    def forward(self, x_NCHW: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, C)`` of images that are made for ``labels_N``."""
        logits_KNC = torch.stack([member(x_NCHW) for member in self.members])
        return (self.weights_KC[:, labels_N, None] * logits_KNC).sum(dim=0)


def class_shares(counts_KC: torch.Tensor) -> torch.Tensor:
    """``(K, C)`` each member's share of the samples of each class; equal where nobody has any."""
    total_C = counts_KC.sum(dim=0)
    shares_KC = counts_KC / total_C.clamp(min=1)
    return torch.where(total_C > 0, shares_KC, 1 / len(counts_KC))


def sampled_labels(
    counts_C: torch.Tensor, count: int, how: str, rng: torch.Generator
) -> torch.Tensor:
    """``count`` labels, int64 on the CPU.

    Args:
        counts_C: Samples of each class that the clients hold together.
        count: How many.
        how: ``counts``: independent draws with chances proportional to ``counts_C``;
            ``balanced``: every class equally often up to one.
        rng: CPU generator.
    """
    if how == "balanced":
        return balanced_labels(range(len(counts_C)), count, rng)
    return torch.multinomial(counts_C.double(), count, replacement=True, generator=rng)


class EnsembleGame:
    """Members, students and a generator, and the steps that they take.

    Args:
        members: Frozen classifiers in eval mode; left as they are.
        counts_KC: ``(K, C)`` training samples of each class behind each member.
        students: Trained in place, on the members' device; left in eval mode.
        image: The images all were trained on.
        config: Everything else.
        rng: CPU generator: initial weights, noise and labels all come from it.
        state: A generator's :meth:`state` to go on with, without a warm-up; None: a new one.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        counts_KC: torch.Tensor,
        students: Sequence[nn.Module],
        image: ImageSpec,
        config: EnsembleGameConfig,
        rng: torch.Generator,
        state: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.config, self.image, self.rng = config, image, rng
        self.device = device_of(members[0])
        counts_KC = counts_KC.double()
        shares = torch.full_like(counts_KC, 1 / len(members))
        if config.ensemble == "class-counts":
            shares = class_shares(counts_KC)
        self.counts_C = counts_KC.sum(dim=0)
        self.ensemble = Ensemble(members, shares.float().to(self.device))
        self.students = list(students)
        self.warmup = 0 if state is not None else config.warmup_steps
        self.generator: Generator = initial(lambda: _network(config, image), rng)
        if state is not None:
            self.generator.load_state_dict(dict(state))
        self.generator.to(self.device)

    def state(self) -> dict[str, torch.Tensor]:
        """The generator's weights and statistics, on the CPU."""
        return {k: v.detach().cpu().clone() for k, v in self.generator.state_dict().items()}

    def play(self) -> dict[str, float]:
        """Warm up, unless a generator was given, and play all turns.

        Returns:
            Means over the turns' steps: ``ce``, ``bn``, ``diversity``, ``adversarial`` of the
            generator, ``student`` (the divergence that students minimise, nats), and
            ``agreement``, the share of images in [0, 1] to which the ensemble gives their label.
        """
        config = self.config
        generator = torch.optim.Adam(
            self.generator.parameters(), config.generator_lr, (config.betas[0], config.betas[1])
        )
        learning = [
            torch.optim.SGD(s.parameters(), config.student_lr, config.student_momentum)
            for s in self.students
        ]
        totals: dict[str, list[float]] = {}
        with ExitStack() as stack:
            stack.enter_context(frozen(self.ensemble))
            self.matches = [
                stack.enter_context(BNMatch(member, config.bn))
                for member in self.ensemble.members
                if config.bn_weight and _has_statistics(member)
            ]
            for _ in range(self.warmup):
                self.generator_step(generator, adversarial=False)
            for _ in range(config.turns):
                found = [self.generator_step(generator) for _ in range(config.generator_steps)]
                found += [self.student_step(learning) for _ in range(config.student_steps)]
                for losses in found:
                    for name, value in losses.items():
                        totals.setdefault(name, []).append(float(value))
        for model in [self.generator, *self.students]:
            model.eval()
        return {name: sum(values) / len(values) for name, values in totals.items()}

    def generator_step(
        self, optimizer: torch.optim.Optimizer, *, adversarial: bool = True
    ) -> Losses:
        """One step of the generator."""
        config, generator = self.config, self.generator.train()
        labels = sampled_labels(self.counts_C, config.batch_size // 2, config.labels, self.rng)
        labels_N, z_ND = labels.repeat(2).to(self.device), self._noise()
        made = generator(z_ND, labels_N)
        seen = generator.seen(made)
        self._read(True)
        logits_NC = self.ensemble(seen, labels_N)
        losses = {
            "ce": functional.cross_entropy(logits_NC, labels_N),
            "bn": self._distance(),
            "diversity": mode_seeking(generator.pixels(made), z_ND),
        }
        total = config.ce_weight * losses["ce"] + config.bn_weight * losses["bn"]
        total = total - config.diversity_weight * losses["diversity"]
        if adversarial and config.adversarial_weight:
            losses["adversarial"] = self._disagreement(seen, logits_NC)
            total = total - config.adversarial_weight * losses["adversarial"]
        optimizer.zero_grad()
        # gradients flow through members and students, but only the generator keeps its own
        total.backward(inputs=list(generator.parameters()))  # type: ignore[no-untyped-call]
        optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def student_step(self, optimizers: Sequence[torch.optim.Optimizer]) -> Losses:
        """One step of every student on one batch of fresh images."""
        config = self.config
        labels = sampled_labels(self.counts_C, config.batch_size, config.labels, self.rng)
        labels_N = labels.to(self.device)
        self._read(False)
        with torch.no_grad():
            generator = self.generator.train()
            x_NCHW = generator.seen(generator(self._noise(), labels_N))
            teacher_NC = self.ensemble(x_NCHW, labels_N)
        distances = []
        for student, optimizer in zip(self.students, optimizers, strict=True):
            self._learning(student)
            distance = kl_divergence(teacher_NC, student(x_NCHW), config.temperature)
            optimizer.zero_grad()
            distance.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            distances.append(distance.detach())
        agreed = (teacher_NC.argmax(dim=1) == labels_N).double().mean()
        return {"student": torch.stack(distances).mean(), "agreement": agreed}

    def _learning(self, student: nn.Module) -> None:
        student.train()
        if self.config.student_batchnorm == "frozen":
            for module in student.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def _disagreement(self, x_NCHW: torch.Tensor, teacher_NC: torch.Tensor) -> torch.Tensor:
        """Mean over students and images of the divergence, where it counts."""
        log_t = functional.log_softmax(teacher_NC, dim=1)
        found = []
        for student in self.students:
            student_NC = student.eval()(x_NCHW)
            log_s = functional.log_softmax(student_NC, dim=1)
            divergence_N = (log_t.exp() * (log_t - log_s)).sum(dim=1)
            if self.config.hard == "disagreement":
                divergence_N = divergence_N * (student_NC.argmax(1) != teacher_NC.argmax(1))
            found.append(divergence_N.mean())
        return torch.stack(found).mean()

    def _distance(self) -> torch.Tensor:
        """Mean over the members with BatchNorm statistics; 0 where nobody has any."""
        if not self.matches:
            return torch.zeros((), device=self.device)
        return torch.stack([match.loss() for match in self.matches]).mean()

    def _read(self, reading: bool) -> None:
        for match in self.matches:
            match.reading = reading

    def _noise(self) -> torch.Tensor:
        size = (self.config.batch_size, self.config.z_size)
        return torch.randn(size, generator=self.rng).to(self.device)


def _network(config: EnsembleGameConfig, image: ImageSpec) -> Generator:
    return build_network(
        config.network, image, config.z_size, config.embedding_size, config.channels
    )


def _has_statistics(model: nn.Module) -> bool:
    """Whether some BatchNorm layer keeps running statistics."""
    found = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return any(module.running_mean is not None for module in found)
