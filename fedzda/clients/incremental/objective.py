"""What a student minimises in a phase: one of the base methods, replay, two teachers.

The base methods are those of the table ``_BASES``; ``abd-like`` and ``r-dfcil-like`` have the
losses of ABD (Smith et al., ICCV 2021) and R-DFCIL (Gao et al., ECCV 2022) with our generator, and
train the head on detached features in every step instead of in a stage of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from fedzda.clients.incremental import distillation, lucir
from fedzda.clients.incremental.head import CosineHead, IncrementalHead
from fedzda.clients.incremental.probe import Views


@dataclass
class Step:
    """One step's samples, as the student and the model before it see them.

    Attributes:
        student: Views of real samples.
        labels: Their positions.
        old: The old model's views of them; None in phase 0 and where nothing needs them.
        made: Views of replayed samples, if any.
        made_labels: Their positions.
        made_old: The old model's views of them.
    """

    student: Views
    labels: torch.Tensor
    old: Views | None = None
    made: Views | None = None
    made_labels: torch.Tensor | None = None
    made_old: Views | None = None


@dataclass
class Phase:
    """What a loss has to know of a phase.

    Attributes:
        head: The student's head.
        num_old: Classes of earlier phases.
        seen: Classes seen.
        options: The strategy's configuration as plain data.
        old_head: The old model's head, if there is one.
    """

    head: IncrementalHead
    num_old: int
    seen: int
    options: Mapping[str, Any]
    old_head: IncrementalHead | None = None


def base_loss(step: Step, phase: Phase) -> torch.Tensor:
    """The loss of the base method; in phase 0 that of its first training."""
    return _BASES[phase.options["base"]](step, phase)


def uses_old(options: Mapping[str, Any]) -> bool:
    """Whether a method looks at the old model on real samples."""
    return options["base"] not in ("fine-tune", "joint")


def replay_loss(step: Step, phase: Phase) -> torch.Tensor:
    """Cross entropy to the replayed labels, and distillation of the old model on them."""
    made, labels, old = step.made, step.made_labels, step.made_old
    assert made is not None
    assert labels is not None
    assert old is not None
    options = phase.options["dfgr"]
    own = made.logits[:, : phase.num_old]
    distilled = distillation.softened(own, old.logits[:, : phase.num_old], options["temperature"])
    entropy = functional.cross_entropy(made.logits[:, : phase.seen], labels)
    whole: torch.Tensor = options["synthetic_ce"] * entropy + options["synthetic_kd"] * distilled
    return whole


def _fine_tune(step: Step, phase: Phase) -> torch.Tensor:
    return functional.cross_entropy(step.student.logits, step.labels)


def _lwf(step: Step, phase: Phase) -> torch.Tensor:
    loss = _fine_tune(step, phase)
    if step.old is None:
        return loss
    options, old = phase.options, slice(0, phase.num_old)
    kept = distillation.softened(
        step.student.logits[:, old], step.old.logits[:, old], options["kd_temperature"]
    )
    whole: torch.Tensor = loss + options["kd_weight"] * kept
    return whole


def _icarl(step: Step, phase: Phase) -> torch.Tensor:
    old = None if step.old is None else step.old.logits[:, : phase.num_old]
    return distillation.sigmoid_targets(step.student.logits[:, : phase.seen], old, step.labels)


def _lucir(step: Step, phase: Phase) -> torch.Tensor:
    loss = _fine_tune(step, phase)
    if step.old is None:
        return loss
    options, num_old = phase.options, phase.num_old
    features, before, labels = step.student.features, step.old.features, step.labels
    if step.made is not None and step.made_old is not None and step.made_labels is not None:
        features = torch.cat([features, step.made.features])
        before = torch.cat([before, step.made_old.features])
        if options["mr_on_synthetic"]:
            labels = torch.cat([labels, step.made_labels])
    weight = lucir.less_forget_weight(options["less_forget"], num_old, phase.seen - num_old)
    loss = loss + weight * lucir.less_forget(features, before)
    assert isinstance(phase.head, CosineHead)
    cosines = phase.head.cosines(features[: len(labels)], phase.seen)
    ranked = lucir.margin_ranking(cosines, labels, num_old, options["mr_k"], options["mr_margin"])
    whole: torch.Tensor = loss + options["mr_weight"] * ranked
    return whole


def _local(step: Step, phase: Phase) -> torch.Tensor:
    """Cross entropy among the new classes alone, of samples that have one."""
    new = step.labels >= phase.num_old
    if not bool(new.any()):
        return step.student.logits.sum() * 0.0
    logits = step.student.logits[new, phase.num_old : phase.seen]
    return functional.cross_entropy(logits, step.labels[new] - phase.num_old)


def _refined(step: Step, phase: Phase) -> torch.Tensor:
    """Cross entropy over all seen classes that trains the head alone."""
    features, labels = step.student.features, step.labels
    if step.made is not None and step.made_labels is not None:
        features = torch.cat([features, step.made.features])
        labels = torch.cat([labels, step.made_labels])
    return functional.cross_entropy(phase.head.logits(features.detach(), phase.seen), labels)


def _abd(step: Step, phase: Phase) -> torch.Tensor:
    if step.old is None:
        return _fine_tune(step, phase)
    features, before = step.student.features, step.old.features
    if step.made is not None and step.made_old is not None:
        features = torch.cat([features, step.made.features])
        before = torch.cat([before, step.made_old.features])
    assert phase.old_head is not None
    weight = phase.old_head.weight[: phase.num_old]
    kept = distillation.weighted_features(features, before, weight)
    whole: torch.Tensor = (
        _local(step, phase) + _refined(step, phase) + phase.options["feature_kd_weight"] * kept
    )
    return whole


def _rdfcil(step: Step, phase: Phase) -> torch.Tensor:
    if step.old is None:
        return _fine_tune(step, phase)
    options, old = phase.options, slice(0, phase.num_old)
    loss = _local(step, phase) + _refined(step, phase)
    if step.made is not None and step.made_old is not None:
        hard = distillation.hard_difference(step.made.logits[:, old], step.made_old.logits[:, old])
        loss = loss + options["hard_kd_weight"] * hard
    relation = distillation.relational(step.student.features, step.old.features)
    whole: torch.Tensor = loss + options["relational_weight"] * relation
    return whole


_BASES: dict[str, Callable[[Step, Phase], torch.Tensor]] = {
    "fine-tune": _fine_tune,
    "joint": _fine_tune,
    "lwf": _lwf,
    "icarl": _icarl,
    "lucir": _lucir,
    "abd-like": _abd,
    "r-dfcil-like": _rdfcil,
}
OWN_REPLAY = ("abd-like", "r-dfcil-like")
"""Base methods that say themselves what replayed samples are for."""
