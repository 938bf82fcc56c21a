"""What a run shows, in plain sentences: who is left behind, by how much, and in what."""

from __future__ import annotations

from fedzda.platform.report.charts.size import trend
from fedzda.platform.report.data import RunData
from fedzda.platform.report.units import count, names

BEHIND = 0.1
"""A client counts as left behind if its share lies more than this below the mean."""


LISTED = 8
"""Up to this many clients are named one by one."""


def sentences(data: RunData, *, state_first: bool = True, state: str | None = None) -> list[str]:
    """The verdict, most important sentence first.

    Args:
        data: The run.
        state_first: Begin with the state of a run that is not finished.
        state: That state, where more is known than the run's files say.
    """
    said = _state(data, state or data.folder.state) if state_first else []
    if not data.figures.get("n"):
        return [*said, "No client was evaluated, so nothing can be said about fairness."]
    parts = (_worst(data), _mean(data), _behind(data), _course(data), _class(data), _size(data))
    return [*said, *(part for part in parts if part), *_losses(data)]


def _state(data: RunData, state: str) -> list[str]:
    if state == "finished":
        return []
    planned = data.folder.config.get("rounds")
    done = data.folder.done
    of = f" of {planned}" if planned else ""
    return [f"This run is not finished (state: {state}, {done}{of} rounds done)."]


def _worst(data: RunData) -> str:
    figures, metric = data.figures, data.metric
    if figures["n"] == 1 or figures["variance_pp2"] == 0:
        who = "The only client reaches" if figures["n"] == 1 else "All clients reach the same,"
        return f"{who} {metric.show(figures['mean'])}."
    if data.final is None:
        who = "The worst tenth of clients"
    else:
        ids = [str(c) for c in data.final.client[data.worst]]
        tenth = "The worst tenth of clients"
        listed = f"{'client' if len(ids) == 1 else 'clients'} {names(ids, LISTED)}"
        many = f"{count(len(ids))} of {count(figures['n'])}"
        who = f"{tenth} ({listed if len(ids) <= LISTED else many})"
    side = "below" if metric.higher_is_better else "above"
    gap = metric.gap(figures["mean"] - figures["worst10"])
    verb = "reaches" if "(client " in who else "reach"
    average = "" if verb == "reaches" else " on average"
    return f"{who} {verb} {metric.show(figures['worst10'])}{average}, {gap} {side} the mean."


def _mean(data: RunData) -> str:
    figures, metric = data.figures, data.metric
    reach = "client reaches" if figures["n"] == 1 else "clients reach"
    text = f"The {count(figures['n'])} {reach} {metric.show(figures['mean'])} on average"
    if figures.get("mean_ci95") and figures["n"] > 1:
        text += f" (95 % interval over clients: {metric.interval(figures['mean_ci95'])})"
    total = data.folder.summary.get("global_test") or {}
    if total.get(data.metric.name) is not None:
        text += f"; on the global test set the model has {metric.show(total[metric.name])}"
    return f"{text}."


def _behind(data: RunData) -> str:
    if data.final is None or not data.metric.fraction:
        return ""
    below = data.figures["mean"] - data.final.value[data.ranking]
    behind = int((below > BEHIND).sum())
    if not behind:
        return f"No client lies more than {100 * BEHIND:.0f} points below the mean."
    n = data.ranking.size
    clients, lie = "client" if n == 1 else "clients", "lies" if behind == 1 else "lie"
    of = f"{count(behind)} of {count(n)} {clients} {lie}"
    return f"{of} more than {100 * BEHIND:.0f} points below the mean."


def _course(data: RunData) -> str:
    points = [(r, f) for r, f in data.history if f.get("worst10") is not None]
    if len(points) < 2:
        return ""
    metric = data.metric
    first, last = (abs(f["mean"] - f["worst10"]) for _, f in (points[0], points[-1]))
    gap, begin, end = "The gap between the mean and the worst tenth", points[0][0], points[-1][0]
    if metric.gap(first) == metric.gap(last):
        return f"{gap} is {metric.gap(last)} in round {end}, as it was in round {begin}."
    word = "shrank" if last < first else "grew"
    return (
        f"{gap} {word} from {metric.gap(first)} in round {begin} to {metric.gap(last)} in round "
        f"{end}."
    )


def _class(data: RunData) -> str:
    recalls = data.class_recalls
    if len({recall for recall, _ in recalls.values()}) < 2:  # none is worse than the others
        return ""
    label = min(recalls, key=lambda each: recalls[each][0])
    recall, holders = recalls[label]
    who = (
        "the only client that holds" if holders == 1 else f"the {count(holders)} clients that hold"
    )
    word = data.class_word(label)
    return (
        f"{word[0].upper()}{word[1:]} is recognised worst: {100 * recall:.0f}\u00a0% recall on "
        f"average over {who} it."
    )


def _size(data: RunData) -> str:
    if data.final is None or data.ranking.size < 10:
        return ""
    _, sizes = data.sizes
    said = trend(sizes[data.ranking].astype(float), data.final.value[data.ranking])
    return said if said.startswith("Clients with") else ""


def _losses(data: RunData) -> list[str]:
    said = []
    excluded = data.figures.get("excluded")
    if excluded:
        have = "client has" if excluded == 1 else "clients have"
        said.append(f"{count(excluded)} {have} no value (no test sample) and are not counted.")
    lost = (data.folder.summary.get("failures") or {}).get("lost")
    if lost:
        were = "reply was" if lost == 1 else "replies were"
        said.append(f"{count(lost)} client {were} lost to errors.")
    return said
