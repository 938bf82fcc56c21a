"""Gaps between groups, in the shape of Fairlearn's ``MetricFrame`` (Bird et al. 2020).

``by_group``, ``overall``, ``difference()`` and ``ratio()`` mean what they mean there. A sample's
group is the *sensitive feature*. The client that holds it is the *control feature*: with it, gaps
are those inside each client (*local*), without it those of all samples together (*global*). The two
can differ without limit (Ezzeldin et al. 2023, *FairFed*, section 3), so both are reported.

Deviation: where a group has no sample that a rate is about, Fairlearn says 0; here the rate is NaN
and the group is left out of the gap, because nothing is known about it.

Letters in names: S samples, U units (one group at one client), K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Rate = Callable[[NDArray[Any], NDArray[Any], Floats], float]
"""A metric of true labels, predictions and sample weights, each ``(S,)``."""
Method = Literal["between_groups", "to_overall"]
"""Groups against each other, or each group against all samples."""
TRUE_POSITIVE, SELECTION = "true_positive_rate", "selection_rate"


def accuracy(y_true: NDArray[Any], y_pred: NDArray[Any], weight: Floats) -> float:
    """Weighted share of correct predictions; NaN without samples."""
    return _share(y_true == y_pred, weight)


def selection_rate(positive: Any = 1) -> Rate:
    """The metric "share of samples that are predicted to be ``positive``"."""
    return lambda _, y_pred, weight: _share(y_pred == positive, weight)


def true_positive_rate(positive: Any = 1) -> Rate:
    """The metric "share of samples of class ``positive`` that are recognised", its recall."""

    def rate(y_true: NDArray[Any], y_pred: NDArray[Any], weight: Floats) -> float:
        held = y_true == positive
        return _share(y_pred[held] == positive, weight[held])

    return rate


def _share(hit: NDArray[np.bool_], weight: Floats) -> float:
    total = float(weight.sum())
    return float(weight[hit].sum()) / total if total > 0 else float("nan")


class MetricFrame:
    """Metrics by group.

    Args:
        metrics: Name to metric.
        y_true: ``(S,)`` true labels.
        y_pred: ``(S,)`` predictions.
        sensitive_features: ``(S,)`` the group of each sample.
        control_features: ``(S,)`` what gaps are computed within, such as the client; left out: all
            samples together.
        sample_weight: ``(S,)`` weights; left out: 1.

    Attributes:
        by_group: A row per group (index: group, or control feature and group), a column per metric.
        overall: The metrics of all samples.

    What is computed of groups is a series over the metrics; with control features a frame, a row
    for each of their values.
    """

    by_group: pd.DataFrame
    overall: Any

    def __init__(
        self,
        *,
        metrics: Mapping[str, Rate],
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sensitive_features: ArrayLike,
        control_features: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> None:
        import pandas as pd

        given = pd.DataFrame(
            {"true": np.asarray(y_true), "pred": np.asarray(y_pred),
             "group": np.asarray(sensitive_features)}
        )  # fmt: skip
        given["weight"] = 1.0 if sample_weight is None else np.asarray(sample_weight, dtype=float)
        keys = ["group"]
        if control_features is not None:
            given["control"] = np.asarray(control_features)
            keys = ["control", "group"]

        def figures(rows: pd.DataFrame) -> pd.Series[float]:
            true, pred, weight = (rows[name].to_numpy() for name in ("true", "pred", "weight"))
            return pd.Series({name: rate(true, pred, weight) for name, rate in metrics.items()})

        self.by_group = _applied(given, keys, figures)
        self.overall = (
            figures(given) if control_features is None else _applied(given, keys[:1], figures)
        )

    @classmethod
    def from_tables(
        cls, by_group: pd.DataFrame, overall: pd.Series[float] | pd.DataFrame
    ) -> MetricFrame:
        """A frame of metrics that are known already, as from counts that clients sent."""
        frame = cls.__new__(cls)
        frame.by_group, frame.overall = by_group, overall
        return frame

    def group_min(self) -> Any:
        """The lowest value of any group, per metric (and control feature)."""
        return self._over_groups(self.by_group).min()

    def group_max(self) -> Any:
        """The highest value of any group, per metric (and control feature)."""
        return self._over_groups(self.by_group).max()

    def difference(self, method: Method = "between_groups") -> Any:
        """The widest gap, at least 0: highest minus lowest, or farthest from ``overall``."""
        if method == "between_groups":
            return self.group_max() - self.group_min()
        return self._over_groups((self.by_group - self._overall_of_rows()).abs()).max()

    def ratio(self, method: Method = "between_groups") -> Any:
        """The smallest ratio, at most 1: lowest over highest, or of a group and ``overall``."""
        if method == "between_groups":
            return self.group_min() / self.group_max()
        ratio = self.by_group / self._overall_of_rows()
        return self._over_groups(ratio.where(ratio <= 1, 1 / ratio)).min()

    def _over_groups(self, table: pd.DataFrame) -> Any:
        return table if table.index.nlevels == 1 else table.groupby(level=0)

    def _overall_of_rows(self) -> Any:
        if self.by_group.index.nlevels == 1:
            return self.overall
        return self.overall.loc[self.by_group.index.get_level_values(0)].to_numpy()


def _applied(
    table: pd.DataFrame, keys: list[str], figures: Callable[[pd.DataFrame], pd.Series[float]]
) -> pd.DataFrame:
    import pandas as pd

    found = {key: figures(rows) for key, rows in table.groupby(keys[0] if len(keys) == 1 else keys)}
    frame = pd.DataFrame(found).T
    frame.index = frame.index.set_names(keys)
    return frame


# ---------------------------------------------------------------------------------------------
# From predictions


class Gap(NamedTuple):
    """How unlike groups are treated."""

    difference: float
    """The widest, at least 0; 0 if all groups are treated alike."""
    ratio: float
    """The smallest, at most 1; 1 if all groups are treated alike."""


def demographic_parity(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    positive: Any = 1,
    method: Method = "between_groups",
) -> Gap:
    """The gap of the selection rate: none if all groups are chosen equally often."""
    return _gap(selection_rate(positive), y_true, y_pred, sensitive_features, method)


def equal_opportunity(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: ArrayLike,
    positive: Any = 1,
    method: Method = "between_groups",
) -> Gap:
    """The gap of the true positive rate (Hardt et al. 2016): none if all groups have the same."""
    return _gap(true_positive_rate(positive), y_true, y_pred, sensitive_features, method)


def _gap(
    rate: Rate, y_true: ArrayLike, y_pred: ArrayLike, groups: ArrayLike, method: Method
) -> Gap:
    frame = MetricFrame(
        metrics={"rate": rate}, y_true=y_true, y_pred=y_pred, sensitive_features=groups
    )
    return Gap(float(frame.difference(method)["rate"]), float(frame.ratio(method)["rate"]))


# ---------------------------------------------------------------------------------------------
# From counts, which is what clients report: no sample leaves a client


@dataclass(frozen=True)
class GroupCounts:
    """Samples of each unit, one group at one client, by class.

    Attributes:
        client: ``(U,)`` client of the unit.
        group: ``(U,)`` its group.
        held: ``(U, K)`` samples of each class.
        hit: ``(U, K)`` those of them that were recognised.
        predicted: ``(U, K)`` samples that were predicted to be of each class.
    """

    client: NDArray[np.int64]
    group: NDArray[Any]
    held: Floats
    hit: Floats
    predicted: Floats

    def frame(self, classes: list[int] | None = None, *, local: bool = False) -> MetricFrame:
        """Metrics by group: ``accuracy``, and for each class ``selection_rate/<class>`` and
        ``true_positive_rate/<class>``.

        Args:
            classes: Which classes; left out: all.
            local: Within each client; else of all samples together.
        """
        import pandas as pd

        wanted = list(range(self.held.shape[1])) if classes is None else classes
        named = {"n": self.held.sum(axis=1), "hit": self.hit.sum(axis=1)}
        for k in wanted:
            named |= {f"held/{k}": self.held[:, k], f"hit/{k}": self.hit[:, k]}
            named[f"predicted/{k}"] = self.predicted[:, k]
        counts: Any = pd.DataFrame({"control": self.client, "group": self.group, **named})
        keys = ["control", "group"] if local else ["group"]
        by_group = counts.groupby(keys)[list(named)].sum()
        overall = counts.groupby("control")[list(named)].sum() if local else by_group.sum()
        whole = _rates(overall if local else overall.to_frame().T, wanted)
        return MetricFrame.from_tables(_rates(by_group, wanted), whole if local else whole.iloc[0])

    def gaps(self, classes: list[int] | None = None) -> dict[str, Any]:
        """Gaps of accuracy, of equal opportunity and of demographic parity, global and local.

        Returns:
            For ``accuracy``, ``equal_opportunity`` and ``demographic_parity``: ``difference`` and
            ``ratio`` between groups of all samples together; ``class`` (not for accuracy), the one
            with the widest difference, which the two are of; ``local_difference`` and
            ``local_worst``, mean and largest over the clients that hold two groups or more of the
            widest difference inside a client; ``local_clients``, how many these are. A rate that is
            known of fewer than two groups has no difference. Undefined is None.
        """
        over_all, inside = self.frame(classes), self.frame(classes, local=True)
        differences = over_all.difference()[over_all.by_group.count() > 1]
        ratios = over_all.ratio()
        local = inside.difference().where(inside.by_group.groupby(level=0).count() > 1)
        names = {"accuracy": "accuracy", "equal_opportunity": TRUE_POSITIVE}
        names["demographic_parity"] = SELECTION
        found: dict[str, Any] = {}
        for name, rate in names.items():
            columns = [c for c in ratios.index if c.partition("/")[0] == rate]
            known = differences.reindex(columns).dropna()
            at = known.idxmax() if len(known) else None
            within = local[columns].max(axis=1).dropna()
            found[name] = {
                "difference": None if at is None else float(known[at]),
                "ratio": None if at is None else _number(ratios[at]),
                **({"class": _class(at)} if rate != "accuracy" else {}),
                "local_difference": float(within.mean()) if len(within) else None,
                "local_worst": float(within.max()) if len(within) else None,
                "local_clients": len(within),
            }
        return found


def _rates(counts: Any, classes: list[int]) -> pd.DataFrame:
    import pandas as pd

    found: dict[str, Any] = {"accuracy": counts["hit"] / counts["n"].where(counts["n"] > 0)}
    for k in classes:
        held = counts[f"held/{k}"]
        found[f"{SELECTION}/{k}"] = counts[f"predicted/{k}"] / counts["n"].where(counts["n"] > 0)
        found[f"{TRUE_POSITIVE}/{k}"] = counts[f"hit/{k}"] / held.where(held > 0)
    return pd.DataFrame(found, index=counts.index)


def _class(column: str | None) -> int | None:
    return None if column is None else int(column.partition("/")[2])


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
