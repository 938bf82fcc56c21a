"""The game of data-free adversarial distillation: generators against students, before a teacher.

Choi, Choi, El-Khamy, Lee, "Data-Free Network Quantization With Adversarial Knowledge Distillation",
CVPR Workshops 2020, arXiv 2005.04136; US 2021/0295173. With G generators g_j, S students s_i and
the frozen teacher t,

    min over students, max over generators of  mean_ij KL(t(g_j) || s_i(g_j)) - alpha * mean_j L_j
    L_j = L_BN(t; g_j) + mean_x H(t(x)) - H(mean_x t(x))

Confirmed by abstract and claims: several generators and students, the Kullback-Leibler divergence,
the Gaussian match of BatchNorm statistics, both entropies, the optional match of intermediate
outputs. Our choice: one alpha, the means over i and j, weights inside L_j, the last features as
the intermediate outputs, the repulsion between generators, the cross entropy of conditional ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, UserError
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.checks import check_classifier
from fedzda.generators.collapse import CollapseDetector
from fedzda.generators.common import (
    balanced_labels,
    device_of,
    frozen,
    initial,
    scheduled,
    set_lr,
    spawn,
)
from fedzda.generators.config import AdversarialConfig
from fedzda.generators.features import LastFeatures, last_features
from fedzda.generators.history import History
from fedzda.generators.losses import batch_entropy, instance_entropy, kl_divergence
from fedzda.generators.networks import Generator, build_network

Losses = dict[str, torch.Tensor]
OnStep = Callable[[str, int, Mapping[str, float]], None]
"""Called after each step with ``warm-up`` or ``main``, its number from 1, and the losses."""


def new_generator(config: AdversarialConfig, image: ImageSpec) -> Generator:
    """A generator of the game; weights from torch's global stream."""
    return build_network(
        config.network,
        image,
        config.z_size,
        config.embedding_size,
        config.channels,
        conditional=config.conditional,
        clamp=config.clamp,
    )


@dataclass
class Player:
    """One generator with its own noise, optimiser and detector."""

    generator: Generator
    optimizer: torch.optim.Optimizer
    rng: torch.Generator
    detector: CollapseDetector
    parameters: list[nn.Parameter] = field(init=False)
    mean_features: torch.Tensor | None = None
    """Mean teacher features of its last batch, where repulsion needs them."""

    def __post_init__(self) -> None:
        self.parameters = list(self.generator.parameters())


class Game:
    """Teacher, generators and students, and the steps that they take in turn.

    Args:
        teacher: In eval mode, with BatchNorm statistics; left as it is.
        students: Trained in place, on the teacher's device; left in eval mode.
        image: The images the teacher was trained on.
        config: Everything else.
        rng: CPU generator: initial weights, noise and labels all come from it.
        generators: To continue with; left out: new ones.

    Raises:
        UserError: A teacher that cannot be inverted, no student, or one that does not fit.
    """

    def __init__(
        self,
        teacher: nn.Module,
        students: Sequence[nn.Module],
        image: ImageSpec,
        config: AdversarialConfig,
        rng: torch.Generator,
        generators: Sequence[Generator] | None = None,
    ) -> None:
        check_classifier(teacher, image)
        if not students:
            raise UserError("distillation needs at least one student (got none). Pass a model.")
        self.teacher, self.image, self.config = teacher, image, config
        self.device = device_of(teacher)
        self.students = [student.to(self.device).eval() for student in students]
        for student in self.students:
            check_classifier(student, image)
        self.continued = generators is not None
        if generators is None:
            make = range(config.generators)
            generators = [initial(lambda: new_generator(config, image), rng) for _ in make]
        self.players = [self._player(j, g, rng) for j, g in enumerate(generators)]
        self.optimizers = [
            torch.optim.SGD(
                student.parameters(),
                config.student_lr,
                config.student_momentum,
                weight_decay=config.student_weight_decay,
                nesterov=True,
            )
            for student in self.students
        ]

    def play(self, on_step: OnStep | None = None) -> History:
        """Warm up, unless the generators were given, and play all turns.

        Returns:
            The history: losses in nats, means over generators and over students. ``adversarial``
            and ``student`` are 0 in the warm-up, whose steps come first.

        Raises:
            RunError: A generator has collapsed and ``on_collapse`` is ``fail``.
        """
        config = self.config
        warmup = 0 if self.continued else config.warmup_steps
        history = History(warmup + config.steps)
        with ExitStack() as stack:
            stack.enter_context(frozen(self.teacher))
            self.match = stack.enter_context(BNMatch(self.teacher, config.bn))
            self.seen = stack.enter_context(last_features(self.teacher))
            self.student_seen: list[LastFeatures] = [
                stack.enter_context(last_features(student)) for student in self.students
            ]
            for step in range(1, warmup + config.steps + 1):
                turn = step - warmup
                losses = self._warmup_step() if turn < 1 else self._turn(turn)
                if history.wants(step):
                    history.add(step, losses)
                if on_step is not None:
                    figures = {name: float(value) for name, value in losses.items()}
                    on_step("warm-up" if turn < 1 else "main", step if turn < 1 else turn, figures)
        for model in [*self.students, *(player.generator for player in self.players)]:
            model.eval()
        return history

    def generator_step(self, player: Player, *, adversarial: bool = True) -> Losses:
        """One step of a generator: up the distance to the students, down ``alpha * L``."""
        config = self.config
        for student in self.students:
            student.eval()  # in training mode its BatchNorm statistics would move
        player.generator.train()
        z_ND, labels_N = self._noise(player, config.batch_size)
        x_NCHW = player.generator.seen(player.generator(z_ND, labels_N))
        self.match.reading = True
        teacher_NC = self.teacher(x_NCHW)
        losses = self._holding(player, teacher_NC, labels_N)
        total = config.alpha * losses.pop("holding")
        if "ce" in losses:
            total = total + config.ce_weight * losses["ce"]
        if adversarial:
            losses["adversarial"] = self._distance(x_NCHW, teacher_NC)
            total = total - losses["adversarial"]
        player.optimizer.zero_grad()
        # gradients flow through teacher and students, but only the generator keeps its own
        total.backward(inputs=player.parameters)  # type: ignore[no-untyped-call]
        player.optimizer.step()
        entropy = player.detector.see(teacher_NC.detach().argmax(dim=1).cpu())
        losses["class_entropy"] = torch.tensor(entropy)
        return {name: value.detach() for name, value in losses.items()}

    def student_step(self) -> Losses:
        """One step of every student down its distance on one batch from all generators."""
        config = self.config
        share = -(-config.batch_size // len(self.players))
        with torch.no_grad():
            parts = []
            for player in self.players:
                player.generator.train(config.student_images == "train")
                made = player.generator(*self._noise(player, share))
                parts.append(player.generator.seen(made))
            x_NCHW = torch.cat(parts)
            self.match.reading = False
            teacher_NC = self.teacher(x_NCHW)
        distances = []
        for number, (student, optimizer) in enumerate(
            zip(self.students, self.optimizers, strict=True)
        ):
            student.train()
            distance = self._distance_of(number, x_NCHW, teacher_NC)
            optimizer.zero_grad()
            distance.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            distances.append(distance.detach())
        return {"student": torch.stack(distances).mean()}

    def _player(self, number: int, generator: Generator, rng: torch.Generator) -> Player:
        config = self.config
        generator.to(self.device)
        return Player(
            generator,
            torch.optim.Adam(
                generator.parameters(), config.generator_lr, (config.betas[0], config.betas[1])
            ),
            spawn(rng),
            CollapseDetector(
                f"generator {number}",
                self.image.num_classes,
                config.collapse_entropy,
                config.collapse_steps,
                config.on_collapse,
            ),
        )

    def _warmup_step(self) -> Losses:
        found = [self.generator_step(player, adversarial=False) for player in self.players]
        zero = torch.zeros(())
        return {**_means(found), "adversarial": zero, "student": zero}

    def _turn(self, turn: int) -> Losses:
        config = self.config
        lr = scheduled(config.generator_lr, config.generator_schedule, turn - 1, config.steps)
        for player in self.players:
            set_lr(player.optimizer, lr)
        for _ in range(config.generator_steps):
            found = [self.generator_step(player) for player in self.players]
        total = config.steps * config.student_steps
        for inner in range(config.student_steps):
            done = (turn - 1) * config.student_steps + inner
            lr = scheduled(config.student_lr, config.student_schedule, done, total)
            for optimizer in self.optimizers:
                set_lr(optimizer, lr)
            students = self.student_step()
        return {**_means(found), **students}

    def _noise(self, player: Player, count: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        z_ND = torch.randn(count, self.config.z_size, generator=player.rng).to(self.device)
        if not self.config.conditional:
            return z_ND, None
        classes = range(self.image.num_classes)
        return z_ND, balanced_labels(classes, count, player.rng).to(self.device)

    def _holding(
        self, player: Player, teacher_NC: torch.Tensor, labels_N: torch.Tensor | None
    ) -> Losses:
        """The terms of ``L``, their weighted sum ``holding``, and the ``ce`` of labels."""
        config = self.config
        losses = {
            "bn": self.match.loss(),
            "instance_entropy": instance_entropy(teacher_NC),
            "batch_entropy": batch_entropy(teacher_NC),
        }
        total = config.bn_weight * losses["bn"]
        total = total + config.instance_entropy_weight * losses["instance_entropy"]
        total = total - config.batch_entropy_weight * losses["batch_entropy"]
        if labels_N is not None:
            losses["ce"] = functional.cross_entropy(teacher_NC, labels_N)
        if config.repulsion_weight:
            losses["repulsion"] = self._repulsion(player)
            total = total + config.repulsion_weight * losses["repulsion"]
        return {**losses, "holding": total}

    def _repulsion(self, player: Player) -> torch.Tensor:
        """Mean cosine between this batch's mean features and the last ones of the others."""
        mine = _known(self.seen).mean(dim=0)
        others = [p.mean_features for p in self.players if p is not player]
        known = [features for features in others if features is not None]
        player.mean_features = mine.detach()
        if not known:
            return mine.new_zeros(())
        return functional.cosine_similarity(mine[None], torch.stack(known)).mean()

    def _distance(self, x_NCHW: torch.Tensor, teacher_NC: torch.Tensor) -> torch.Tensor:
        """Mean over the students of their distance to the teacher."""
        count = len(self.students)
        found = [self._distance_of(number, x_NCHW, teacher_NC) for number in range(count)]
        return torch.stack(found).mean()

    def _distance_of(
        self, number: int, x_NCHW: torch.Tensor, teacher_NC: torch.Tensor
    ) -> torch.Tensor:
        config = self.config
        student_NC = self.students[number](x_NCHW)
        distance = kl_divergence(teacher_NC, student_NC, config.temperature)
        if config.feature_weight:
            mine, wanted = _known(self.student_seen[number]), _known(self.seen)
            if mine.shape != wanted.shape:
                raise UserError(
                    f"adversarial.feature_weight is {config.feature_weight:g}, but the last "
                    f"features of teacher and student have {wanted.shape[1]} and {mine.shape[1]} "
                    "numbers. Set it to 0, or choose a student of equal width."
                )
            distance = distance + config.feature_weight * functional.mse_loss(mine, wanted)
        return distance


def _known(seen: LastFeatures) -> torch.Tensor:
    """The features that a forward pass left. Raises UserError for a model without linear layer."""
    if seen.value is None:
        raise UserError(
            "adversarial.feature_weight and repulsion_weight need a linear layer, whose input are "
            "the features, and a model has none. Set both to 0."
        )
    return seen.value


def _means(found: list[Losses]) -> Losses:
    return {name: torch.stack([one[name] for one in found]).mean() for name in found[0]}
