"""Flower's Grid on one of our engines: any Flower strategy talks to simulated clients through it.

Differences from Flower's own in-memory grid: node ids are fixed (client + 2), replies come in the
order in which messages were sent, the traceback of a failed client is kept, every reply is handed
to an observer before the strategy sees it, and a strategy may ask for the mean of the models
instead of the models.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flwr.app import ArrayRecord, Error, Message, MessageType, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from fedzda.base import RunError
from fedzda.platform.averaging import ChunkSums, WeightedSum
from fedzda.platform.devices.clock import TIMED, Task, VirtualClock
from fedzda.platform.engines.base import Engine
from fedzda.platform.engines.calls import Call, ChunkResult, Reply
from fedzda.platform.engines.chunks import EVALUATED, ONE_BY_ONE, VECTORISED, cut
from fedzda.platform.records import Content, array_record, arrays_of, to_content, to_record

FIRST_NODE = 2
"""Node id of client 0 (0 and 1 have a meaning in Flower)."""
MEAN = "fedzda.mean"
"""Record of the first reply that holds the cohort's mean where a strategy asked for it."""
REDUCE = "fedzda.reduce"
"""Config key of a train request: ``naive`` or ``pooled`` asks for the mean (``Chunk.reduce``)."""
_log = logging.getLogger(__name__)


@dataclass
class ErrorPolicy:
    """What to do about clients that fail."""

    on_error: Literal["fail", "skip", "retry"] = "fail"
    min_success: float = 0.5


@dataclass
class Failures:
    """Counted since they were last taken."""

    retried: int = 0
    lost: int = 0

    def take(self) -> tuple[int, int]:
        """Clients run a second time and clients given up, since the last call."""
        counts = self.retried, self.lost
        self.retried = self.lost = 0
        return counts


@dataclass
class Exchange:
    """One ``send_and_receive``, as the observer sees it."""

    phase: str
    round: int
    calls: list[Call]
    replies: list[Reply]
    bytes_down: list[int] = field(default_factory=list)
    bytes_up: list[int] = field(default_factory=list)
    virtual_sec: list[float | None] = field(default_factory=list)
    """What each client took by the virtual clock, where one runs."""
    lost: list[Task] = field(default_factory=list)
    """Clients that were asked and whose update is not used."""


class EngineGrid(Grid):
    """A Grid over ``num_clients`` simulated clients.

    Args:
        engine: A started engine.
        num_clients: Registered clients; node ids are ``2 .. num_clients + 1``.
        states: What clients keep between rounds, by client; missing means empty. Changed in place.
        observe: Called with every :class:`Exchange`.
        policy: See :class:`ErrorPolicy`.
        vectorised: Whether workers train the clients of a leaf at once.
        clock: Virtual time, which decides who is there and whose update comes in; None: everybody
            and all.
    """

    def __init__(
        self,
        engine: Engine,
        num_clients: int,
        states: dict[int, Content],
        observe: Callable[[Exchange], None],
        policy: ErrorPolicy | None = None,
        vectorised: bool = False,
        clock: VirtualClock | None = None,
    ) -> None:
        adopt_task_identity()
        self.engine = engine
        self.num_clients = num_clients
        self.states = states
        self.observe = observe
        self.policy = policy or ErrorPolicy()
        self.vectorised = vectorised
        self.clock = clock
        self.failures = Failures()
        self.round = 0
        self._run = Run.create_empty(1)
        self._sent = 0
        self._waiting: dict[str, Message] = {}

    @property
    def run(self) -> Run:
        """Flower's run information."""
        return self._run

    def set_run(self, run: Run) -> None:
        """Flower's setter."""
        self._run = run

    def get_node_ids(self) -> Sequence[int]:
        """All nodes, or those that are there at the virtual time, in a fixed order."""
        reachable = range(self.num_clients) if self.clock is None else self.clock.reachable()
        if isinstance(reachable, range):
            return range(FIRST_NODE, FIRST_NODE + self.num_clients)
        return [FIRST_NODE + int(client) for client in reachable]

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """See Flower's Grid."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Run the messages now; the replies wait for :meth:`pull_messages`."""
        asked = list(messages)
        replies = self.send_and_receive(asked)
        ids = [message.metadata.message_id for message in asked]
        self._waiting.update({reply.metadata.reply_to_message_id: reply for reply in replies})
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Replies to earlier messages, each once."""
        return [self._waiting.pop(i) for i in message_ids if i in self._waiting]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Carry out the messages on the engine. Replies come in the order of the messages.

        With a virtual clock there are none from clients whose update is not used.

        Raises:
            RunError: a client failed and the policy says so, or too few succeeded.
        """
        asked = list(messages)
        if not asked:
            return []
        for message in asked:
            self._sent += 1
            message.metadata.__dict__["_message_id"] = f"{self._sent:012d}"
        calls = self._calls(asked)
        seconds, lost = self._let_time_pass(calls)
        phase, round_ = calls[0].phase, calls[0].round
        if seconds is not None:
            asked = [m for m, call in zip(asked, calls, strict=True) if call.client in seconds]
            calls = [call for call in calls if call.client in seconds]
        results, total = self._carry_out(calls) if calls else ([], None)
        replies = [reply for result in results for reply in result.replies]
        self._apply_policy(calls, replies)
        for reply in replies:
            if reply.error is None and (reply.content or reply.state):
                self._keep_state(reply)
        exchange = _exchange(phase, round_, calls, replies, self.clock)
        exchange.virtual_sec = [None if seconds is None else seconds[c.client] for c in calls]
        exchange.lost = lost
        self.observe(exchange)
        return _messages(asked, calls, replies, total)

    def _let_time_pass(self, calls: list[Call]) -> tuple[dict[int, float] | None, list[Task]]:
        """Virtual seconds of the clients whose answer is used, and who was lost.

        None where no clock runs, and for evaluation, which is our measurement.
        """
        if self.clock is None or calls[0].phase == MessageType.EVALUATE:
            return None, []
        if TIMED not in calls[0].content.config():
            self.clock.collect(calls)
        finished, lost = self.clock.take()
        return {client: task.seconds for client, task in finished.items()}, lost

    def _calls(self, messages: list[Message]) -> list[Call]:
        arrays: dict[int, dict[str, Any]] = {}
        calls = []
        for message in messages:
            content = _shared_content(message.content, arrays)
            config = content.config()
            self.round = int(config.get("server-round", self.round))
            client = message.metadata.dst_node_id - FIRST_NODE
            state = self.states.get(client, Content())
            calls.append(Call(client, message.metadata.message_type, self.round, content, state))
        return calls

    def _carry_out(self, calls: list[Call]) -> tuple[list[ChunkResult], WeightedSum | None]:
        """Results in the order of the calls, and the sum of the models where it was asked for."""
        policy = self.policy.on_error
        engine, phase = self.engine, calls[0].phase
        trained = VECTORISED if self.vectorised else ONE_BY_ONE
        kind = trained if phase == MessageType.TRAIN else EVALUATED
        workers, smallest = engine.num_workers, engine.smallest_chunk(phase)
        chunks = cut(calls, kind.count(len(calls)), workers, smallest)
        for chunk in chunks:
            chunk.reduce = str(chunk.calls[0].content.config().get(REDUCE, ""))
            chunk.retry, chunk.fail_fast = policy == "retry", policy == "fail"
        sizes = {chunk.index: len(chunk.sizes) for chunk in chunks}
        results, sums = [], ChunkSums()
        for result in engine.run(chunks):
            results.append(result)
            if result.total is not None:
                sums.add(result.index, result.total, sizes[result.index])
                result.total = None
            if policy == "fail" and any(reply.error for reply in result.replies):
                break  # the engine drops the work that is still under way
        return sorted(results, key=lambda result: result.index), sums.total()

    def _apply_policy(self, calls: list[Call], replies: list[Reply]) -> None:
        self.failures.retried += sum(reply.retried for reply in replies)
        failed = [reply for reply in replies if reply.error]
        if not failed:
            return
        self.failures.lost += len(failed)
        share = 1 - len(failed) / len(replies)
        where = f"round {calls[0].round} ({calls[0].phase})"
        story = f"client {failed[0].client} failed in {where}:\n{failed[0].error}"
        _log.warning("%d of %d clients failed; the first: %s", len(failed), len(replies), story)
        if self.policy.on_error == "fail":
            raise RunError(
                f"{story}\nSet on_client_error to 'skip' or 'retry' to go on without such clients."
            )
        if share < self.policy.min_success:
            raise RunError(
                f"only {share:.0%} of {len(replies)} clients succeeded, "
                f"min_success is {self.policy.min_success:.0%}. First failure: {story}"
            )

    def _keep_state(self, reply: Reply) -> None:
        state = reply.state
        if state.arrays or state.metrics or state.configs:
            self.states[reply.client] = state


def adopt_task_identity() -> None:
    """Flower refuses to build messages outside a task: a process that is none becomes one."""
    try:
        _ = TaskIdentity.task_id
    except RuntimeError:
        TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = 1


def _shared_content(record: RecordDict, cache: dict[int, dict[str, Any]]) -> Content:
    """Plain content; arrays of a Flower record are decoded once, however many clients get it."""
    light: dict[str, Any] = {k: v for k, v in record.items() if not isinstance(v, ArrayRecord)}
    content = to_content(RecordDict(light))
    for name, value in record.array_records.items():
        if id(value) not in cache:
            cache[id(value)] = arrays_of(value)
        content.arrays[name] = cache[id(value)]
    return content


def _messages(
    asked: list[Message], calls: list[Call], replies: list[Reply], total: WeightedSum | None
) -> list[Message]:
    messages = []
    sent = next(iter(calls[0].content.arrays.values()), None) if calls else None
    for request, reply in zip(asked, replies, strict=True):
        if reply.error is not None:
            error = Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=reply.error)
            messages.append(Message(error, reply_to=request))
            continue
        record = to_record(reply.content)
        if total is not None and total.weight > 0:
            record[MEAN] = array_record(total.mean(sent))
            total = None
        messages.append(Message(record, reply_to=request))
    return messages


def _exchange(
    phase: str,
    round_: int,
    calls: list[Call],
    replies: list[Reply],
    clock: VirtualClock | None,
) -> Exchange:
    down = [
        call.content.num_bytes()
        if clock is None
        else clock.workload.download(call.content, call.client)
        for call in calls
    ]
    up = []
    for call, reply in zip(calls, replies, strict=True):
        # a summed-up model still crossed the network in the world that is simulated
        reduced = REDUCE in call.content.config()
        model = next(iter(call.content.arrays.values()), {}) if reduced else {}
        size = sum(int(value.nbytes) for value in model.values()) + reply.content.num_bytes()
        sent = size if reply.bytes_up is None else reply.bytes_up
        up.append(0 if reply.error else sent)
    return Exchange(phase, round_, calls, replies, down, up)
