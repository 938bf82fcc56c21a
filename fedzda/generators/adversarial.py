"""Data-free adversarial distillation, alone and as a synthesizer.

:func:`distill` plays the game of :mod:`fedzda.generators.adversarial_game` for given students;
:class:`Adversarial` plays it to make labelled images.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.generators.adversarial_game import Game, OnStep, new_generator
from fedzda.generators.common import balanced_labels, device_of, frozen, initial, rows_for
from fedzda.generators.config import AdversarialConfig
from fedzda.generators.files import save_state
from fedzda.generators.history import History
from fedzda.generators.networks import Generator
from fedzda.generators.networks.sampling import images_from, sample_images
from fedzda.generators.quality import assess

_ASSESSED_IMAGES = 256
_TRIES = 8
"""Batches tried, as a multiple of what balanced classes would take."""


def distill(
    teacher: nn.Module,
    students: Sequence[nn.Module],
    image: ImageSpec,
    config: AdversarialConfig,
    rng: torch.Generator,
    on_step: OnStep | None = None,
) -> dict[str, list[float]]:
    """Teach ``students`` what ``teacher`` knows, without data.

    Args:
        teacher: In eval mode, with BatchNorm statistics, takes normalised images; left as found.
        students: One or several, of any architecture for the same images, trained in place.
        image: The images the teacher was trained on.
        config: Steps, weights and networks; ``students`` in it is not used.
        rng: CPU generator for everything random.
        on_step: Called after each step with the phase, the step's number and the losses.

    Returns:
        The history, ``{name: values}`` with ``step``, thinned out to about 200 rows.

    Raises:
        UserError: A teacher without BatchNorm or in training mode, images or students that do not
            fit.
        RunError: A generator has collapsed and ``config.on_collapse`` is ``fail``.
    """
    return Game(teacher, students, image, config, rng).play(on_step).columns


class Adversarial:
    """A :class:`fedzda.base.Synthesizer` whose generators looked for what students cannot do yet.

    Samples of a class: conditional generators are given the label. Unconditional ones, the
    published kind, are sorted by the classifier: at the end of a fit noise is drawn until
    ``codes_per_class`` vectors are found whose image it takes for the class, and these *codes* are
    kept, so that sampling needs no classifier; a class has so many different images and no more.
    After eight times the batches that balanced classes would take, a class has the codes found so
    far; one that has none takes the codes most like it by the classifier's probability, and counts
    in ``missing_classes``.

    Args:
        config: Steps, weights and networks.
        students: To play against; left out: copies of the classifier's architecture with fresh
            weights, as many as ``config.students``. They are trained in place.
    """

    Config = AdversarialConfig

    def __init__(
        self, config: AdversarialConfig, students: Sequence[nn.Module] | None = None
    ) -> None:
        self.config = config
        self.students = list(students) if students else []
        self.generators: list[Generator] = []
        self.codes = torch.empty(0)
        """Noise kept for sampling, ``(K, z_size)``; empty for conditional generators."""
        self.code_labels = torch.empty(0, dtype=torch.int64)
        """What the classifier takes the image of each code for, ``(K,)``."""
        self.code_owners = torch.empty(0, dtype=torch.int64)
        """Which generator each code belongs to, ``(K,)``."""
        self.history: History | None = None
        """Losses of the last fit."""

    def fit(
        self,
        classifier: nn.Module,
        classes: Sequence[int],
        image: ImageSpec,
        rng: torch.Generator,
    ) -> dict[str, float]:
        """Play the game; a second call goes on with the same generators and students.

        Args:
            classifier: In eval mode, takes normalised images; left as found.
            classes: Labels to make codes for; the game itself is about all classes.
            image: The images it was trained on.
            rng: CPU generator for everything random.

        Returns:
            The figures of :func:`fedzda.generators.quality.assess`, ``missing_classes`` (number of
            classes without a code of their own) and ``student_agreement`` (share of samples on
            which student 0 predicts the label).

        Raises:
            UserError: No class asked for, or a classifier that cannot be inverted.
            RunError: A generator has collapsed and ``on_collapse`` is ``fail``.
        """
        labels = balanced_labels(classes, _ASSESSED_IMAGES, rng)
        if not self.students:
            make = range(self.config.students)
            self.students = [initial(lambda: fresh_copy(classifier), rng) for _ in make]
        game = Game(classifier, self.students, image, self.config, rng, self.generators or None)
        self.history = game.play()
        self.generators = [player.generator for player in game.players]
        missing = 0 if self.config.conditional else self._collect(classifier, classes, image, rng)
        images = self.sample(labels, rng)
        figures = assess(classifier, images, labels, image, self.config.bn)
        with torch.no_grad():
            seen = self.students[0](image.normalize(images.to(device_of(classifier)))).cpu()
        agreed = float((seen.argmax(dim=1) == labels).double().mean())
        return {**figures, "missing_classes": float(missing), "student_agreement": agreed}

    def sample(self, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """One image per label, float32 ``(N, C, H, W)`` in [0, 1], on the device of ``labels``.

        From codes: within a call none comes twice before all of its class came once. Conditional:
        from fresh noise, each label by a generator drawn at random.

        Raises:
            UserError: A label that no code was kept for.
        """
        generators = self._fitted()
        wanted = labels.cpu()
        rows = torch.empty(0, dtype=torch.int64)
        if self.config.conditional:
            owners = torch.randint(len(generators), (len(wanted),), generator=rng)
        else:
            rows = rows_for(self.code_labels, wanted, rng, "adversarial")
            owners = self.code_owners[rows]
        images = torch.empty(len(wanted), *generators[0].image.shape)
        size = self.config.batch_size
        for number, generator in enumerate(generators):
            mine = (owners == number).nonzero()[:, 0]
            if not len(mine):
                continue
            if self.config.conditional:
                images[mine] = sample_images(generator, wanted[mine], rng, size, "eval")
            else:
                images[mine] = images_from(generator, self.codes[rows[mine]], size)
        return images.to(labels.device)

    def state(self) -> dict[str, torch.Tensor]:
        """Weights of all generators (``generators.0.…``) and the codes, on the CPU."""
        weights = nn.ModuleList(self._fitted()).state_dict(prefix="generators.")
        tensors = {name: value.detach().cpu().clone() for name, value in weights.items()}
        if not self.config.conditional:
            tensors["codes"] = self.codes.clone()
            tensors["code_labels"] = self.code_labels.clone()
            tensors["code_owners"] = self.code_owners.clone()
        return tensors

    def load_state(self, state: Mapping[str, torch.Tensor], image: ImageSpec) -> None:
        """Take over a :meth:`state`. Raises UserError if it was made with other sizes."""
        generators = nn.ModuleList(
            new_generator(self.config, image) for _ in range(self.config.generators)
        )
        codes = {} if self.config.conditional else _code_tensors(state)
        weights = {
            name.removeprefix("generators."): value
            for name, value in state.items()
            if name.startswith("generators.")
        }
        try:
            generators.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(
                "the saved generators do not fit the configuration of adversarial or the images "
                f"({error}). Use the sizes that they were trained with."
            ) from error
        self.generators = [module for module in generators if isinstance(module, Generator)]
        if codes:
            self.codes, self.code_labels = codes["codes"], codes["code_labels"]
            self.code_owners = codes["code_owners"]

    def save(self, path: Path, classifier_fingerprint: str = "") -> None:
        """Write :meth:`state` as safetensors; metadata as in ``fedzda.generators.files``."""
        image = self._fitted()[0].image
        save_state(self.state(), path, self.config, classifier_fingerprint, image, self.history)

    def _fitted(self) -> list[Generator]:
        if not self.generators:
            raise RuntimeError("adversarial has no generator yet: call fit or load_state first")
        return self.generators

    def _collect(
        self,
        classifier: nn.Module,
        classes: Sequence[int],
        image: ImageSpec,
        rng: torch.Generator,
    ) -> int:
        """Find the codes; returns how many classes have none of their own."""
        wanted = sorted(set(classes))
        need = self.config.codes_per_class
        size = self.config.batch_size
        batches = _TRIES * -(-need * image.num_classes // size)
        drawn: list[tuple[torch.Tensor, int, torch.Tensor]] = []
        counts = torch.zeros(image.num_classes, dtype=torch.int64)
        for number in range(batches):
            if int(counts[wanted].min()) >= need:
                break
            owner = number % len(self.generators)
            z_ND = torch.randn(size, self.config.z_size, generator=rng)
            probabilities = self._judged(classifier, owner, z_ND, image)
            counts += torch.bincount(probabilities.argmax(dim=1), minlength=image.num_classes)
            drawn.append((z_ND, owner, probabilities))
        codes = torch.cat([z for z, _, _ in drawn])
        owners = torch.cat([torch.full((len(z),), owner) for z, owner, _ in drawn])
        probabilities = torch.cat([p for _, _, p in drawn])
        rows, labels = _chosen(probabilities, wanted, need)
        self.codes, self.code_owners, self.code_labels = codes[rows], owners[rows], labels
        return int((counts[wanted] == 0).sum())

    @torch.no_grad()
    def _judged(
        self, classifier: nn.Module, owner: int, z_ND: torch.Tensor, image: ImageSpec
    ) -> torch.Tensor:
        """The classifier's probabilities ``(N, classes)`` for the images of some noise."""
        images = images_from(self.generators[owner], z_ND, self.config.batch_size)
        with frozen(classifier):
            logits = classifier(image.normalize(images.to(device_of(classifier))))
        probabilities: torch.Tensor = logits.softmax(dim=1).cpu()
        return probabilities


def fresh_copy(model: nn.Module) -> nn.Module:
    """A copy of ``model``'s architecture with initial weights from torch's global stream.

    Layers are reset by their own rule; parameters outside of such layers are drawn from a normal
    with their own mean and standard deviation.
    """
    student = copy.deepcopy(model)
    done: set[int] = set()
    for module in student.modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
            done |= {id(parameter) for parameter in module.parameters(recurse=False)}
    with torch.no_grad():
        for parameter in student.parameters():
            if id(parameter) not in done:
                mean, std = float(parameter.mean()), float(parameter.std(correction=0))
                parameter.normal_(mean, std)
    return student.requires_grad_()


def _chosen(
    probabilities: torch.Tensor, wanted: Sequence[int], need: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and labels of the codes: per class the first ``need`` taken for it, else the likest."""
    predicted = probabilities.argmax(dim=1)
    rows, labels = [], []
    for label in wanted:
        own = (predicted == label).nonzero()[:need, 0]
        if not len(own):
            own = probabilities[:, label].argsort(descending=True)[:need]
        rows.append(own)
        labels.append(torch.full((len(own),), label))
    return torch.cat(rows), torch.cat(labels)


def _code_tensors(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The codes in a state. Raises UserError if it has none."""
    names = ("codes", "code_labels", "code_owners")
    if not all(name in state for name in names):
        raise UserError(
            "the saved generators are conditional (there are no codes), the configuration of "
            "adversarial is not. Set conditional: true."
        )
    return {name: state[name].clone() for name in names}
