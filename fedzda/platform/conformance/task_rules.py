"""What a task must do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from fedzda.platform.conformance.findings import Broken
from fedzda.platform.conformance.model_rules import built
from fedzda.platform.conformance.run_rules import RESUMES, RUNS_TWICE, SINGLE_SAMPLE, config_of
from fedzda.platform.data.dealing import dealt, image_of

if TYPE_CHECKING:
    from fedzda.platform.conformance.check import Bench, Rule


def declares(bench: Bench) -> None:
    """It says what it reads and what it is judged by."""
    model, task, _ = built(bench)
    if not (isinstance(task.columns, tuple) and all(isinstance(c, str) for c in task.columns)):
        raise Broken(f"columns must be a tuple of column names (got {task.columns!r}).")
    if not isinstance(task.primary, str):
        raise Broken(f"primary must be the name of a metric (got {task.primary!r}).")
    if not isinstance(task.higher_is_better, bool):
        raise Broken(f"higher_is_better must be True or False (got {task.higher_is_better!r}).")
    task.validate(model, image_of(dealt(config_of(bench), bench.folder)))


def has_a_loss(bench: Bench) -> None:
    """The loss is a number that a step can be taken on."""
    model, task, batch = built(bench)
    model.train()
    loss = task.loss(model, batch)
    if not isinstance(loss, torch.Tensor) or loss.shape != ():
        shape = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
        raise Broken(f"loss must return a tensor without dimensions, the mean (got {shape}).")
    if not torch.isfinite(loss):
        raise Broken(f"loss is {loss.item()} on {len(next(iter(batch.values())))} samples.")
    if not loss.requires_grad:
        raise Broken("loss has no gradient: it must be computed from what the model returns.")


def adds_up(bench: Bench) -> None:
    """Metrics come from sums over samples, so that any grouping gives the same."""
    model, task, batch = built(bench)
    whole = _statistics(task, model, batch)
    half = len(next(iter(batch.values()))) // 2
    parts = [
        _statistics(task, model, {name: value[cut] for name, value in batch.items()})
        for cut in (slice(None, half), slice(half, None))
    ]
    summed = {name: parts[0][name] + parts[1][name] for name in whole}
    expected, found = task.metrics(whole), task.metrics(summed)
    _numbers(expected)
    for name, value in expected.items():
        if abs(value - found[name]) > 1e-6 * max(1.0, abs(value)):
            raise Broken(
                f"'{name}' of a batch is {value:.6g}, and {found[name]:.6g} from the sums of its "
                "two halves: sample_statistics must give figures of single samples, whose sums "
                "are all that metrics uses."
            )
    if task.primary not in expected:
        raise Broken(
            f"primary is '{task.primary}', but metrics returns {', '.join(expected) or 'nothing'}."
        )


def _statistics(task: Any, model: Any, batch: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Sums over a batch, after a look at what is summed."""
    model.eval()
    size = len(next(iter(batch.values())))
    with torch.no_grad():
        outputs = task.outputs(model, batch)
        each = task.sample_statistics(outputs, batch)
    for name, value in each.items():
        if value.dtype != torch.float64 or value.shape[:1] != (size,):
            raise Broken(
                f"sample_statistics()['{name}'] must be float64 with one entry per sample, shape "
                f"({size}, …) (got {value.dtype}, {tuple(value.shape)})."
            )
    return {name: value.sum(dim=0) for name, value in each.items()}


def _numbers(metrics: Any) -> None:
    if not isinstance(metrics, dict):
        raise Broken(f"metrics must return a dict of numbers (got {type(metrics).__name__}).")
    for name, value in metrics.items():
        if not isinstance(value, int | float):
            raise Broken(f"metrics()['{name}'] must be a number (got {type(value).__name__}).")


def survives_nothing(bench: Bench) -> None:
    """A client without a test sample has undefined metrics, and no error."""
    model, task, batch = built(bench)
    nothing = {name: 0 * value for name, value in _statistics(task, model, batch).items()}
    try:
        _numbers(task.metrics(nothing))
        task.details(nothing)
    except ZeroDivisionError as error:
        raise Broken(
            "metrics of no sample must be NaN, and divide by zero instead: divide tensors, not "
            "Python numbers."
        ) from error


def losses_agree(bench: Bench) -> None:
    """The losses of single samples, where the task has them, average to the loss."""
    model, task, batch = built(bench)
    model.eval()
    with torch.no_grad():
        try:
            each = task.sample_losses(task.outputs(model, batch), batch)
        except NotImplementedError:
            return
        whole = float(task.loss(model, batch))
    if abs(float(each.mean()) - whole) > 1e-4 * max(1.0, abs(whole)):
        raise Broken(
            f"the mean of sample_losses is {float(each.mean()):.6g}, and loss is {whole:.6g}: both "
            "are trained on, so they must agree (or leave sample_losses as it is in Task)."
        )


RULES: dict[str, list[Rule]] = {
    "task": [
        ("it says what it reads and is judged by", declares),
        ("its loss is a number with a gradient", has_a_loss),
        ("its metrics come from sums over samples", adds_up),
        ("metrics of no sample are no error", survives_nothing),
        ("losses of single samples average to the loss", losses_agree),
        RUNS_TWICE,
        RESUMES,
        SINGLE_SAMPLE,
    ]
}
