"""A client's part in nearest-mean-of-exemplars classification, see
:mod:`fedzda.platform.scenario.nearest_mean`.

Leaves the client: per class the sum of the unit features of its exemplars, as many numbers as the
head has inputs. Where it keeps a single exemplar of a class, that is the direction of this sample's
feature. Which samples they are, and how many, stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fedzda.clients.incremental.memory import EXEMPLARS, all_rows, memory_of
from fedzda.clients.incremental.probe import features_of
from fedzda.platform.engines.calls import Call, Reply
from fedzda.platform.records import Content
from fedzda.platform.scenario.nearest_mean import SUMS

if TYPE_CHECKING:
    from fedzda.clients.runtime import ClientRuntime


def feature_sums(features_ND: torch.Tensor, labels_N: torch.Tensor, classes: int) -> torch.Tensor:
    """Sums of the features' unit vectors by class, ``(classes, D)`` float64."""
    unit_ND = functional.normalize(features_ND.double(), dim=1)
    sums_KD = unit_ND.new_zeros((classes, unit_ND.shape[1]))
    return sums_KD.index_add_(0, labels_N, unit_ND)


def exemplar_sums(runtime: ClientRuntime, model: nn.Module, call: Call, seen: int) -> Reply:
    """Answer the server at the end of a phase; the client's state stays as it is.

    Args:
        runtime: Holds the data.
        model: The model at the end of the phase, which chooses the exemplars of the new classes.
        call: The question, with the client's state.
        seen: Classes seen so far.
    """
    kept = call.state.arrays.get(EXEMPLARS, {})
    rows = all_rows(memory_of(runtime, call.client, kept, model, seen))
    answer = Content(metrics={"metrics": {"num-examples": len(rows)}})
    if len(rows):
        batch = runtime.batch(rows)
        sums = feature_sums(features_of(model, batch["image"]), batch["label"], seen)
        answer.arrays[SUMS] = {"sums": sums.cpu().numpy().astype(np.float32)}
    return Reply(call.client, answer, split="train")
