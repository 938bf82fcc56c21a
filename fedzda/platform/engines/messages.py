"""What engines share whose clients are nodes of Flower: a call becomes a message to a node.

Replies come in any order and are put back into ours. Node ids are drawn by Flower, so every node is
asked which client it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from flwr.app import Message, MessageType
from flwr.serverapp import Grid

from fedzda.platform.engines.base import Engine
from fedzda.platform.engines.calls import Call, Chunk, ChunkResult, Reply
from fedzda.platform.engines.inline import untouched_globals
from fedzda.platform.engines.worker import Worker
from fedzda.platform.records import Content, to_content, to_record

DETAILS = "fedzda.details"
"""Record in which our ClientApp sends what is meant for the client table only."""
PARTITION = "fedzda.partition"
"""Record in which our ClientApp answers a query for its client number."""
UNNUMBERED = -1
"""What a node answers that was started without a ``partition-id``."""


class MessageEngine(Engine):
    """Sends every call as a Flower message.

    Attributes:
        grid: Flower's grid, there when :meth:`start` is done.
        nodes: Node id of each client, by client number.
    """

    grid: Grid
    nodes: list[int]
    _local: Worker | None = None

    def ask_who(self, nodes: Sequence[int]) -> dict[int, int]:
        """Client number of each node that answers, by node id."""
        asked = [self._message(node, MessageType.QUERY, Content()) for node in nodes]
        return {
            answer.metadata.src_node_id: int(to_content(answer.content).metrics[PARTITION]["id"])
            for answer in self.grid.send_and_receive(asked)
            if not answer.has_error()
        }

    def run(self, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """See :meth:`Engine.run`. Models are never summed up on the way."""
        every = list(chunks)
        calls = [call for chunk in every for call in chunk.calls]
        asked = [self._message(self.nodes[c.client], c.phase, c.content) for c in calls]
        answers = {m.metadata.src_node_id: m for m in self.grid.send_and_receive(asked)}
        for chunk in every:
            yield ChunkResult(chunk.index, [self._reply(call, answers) for call in chunk.calls])

    def _message(self, node: int, phase: str, content: Content) -> Message:
        message = Message(to_record(content), node, phase)
        message.metadata.__dict__["_run_id"] = self.grid.run.run_id
        return message

    def _reply(self, call: Call, answers: dict[int, Message]) -> Reply:
        answer = answers.get(self.nodes[call.client])
        if answer is None or answer.has_error():
            reason = answer.error.reason if answer is not None else "no answer"
            return Reply(call.client, error=reason)
        content = to_content(answer.content)
        rest = content.configs.pop(DETAILS)
        told = json.loads(rest["json"])
        seconds = float(rest["seconds"])
        return Reply(
            call.client,
            content,
            told["details"],
            told["split"],
            Content(),
            seconds=seconds,
            bytes_up=told["bytes_up"],
        )

    def map(self, job: Callable[[Any, Any], Any], items: Sequence[Any]) -> list[Any]:
        """See :meth:`Engine.map`; in this process, because the nodes serve clients only."""
        with untouched_globals():
            if self._local is None:
                self._local = Worker(self.spec, self.seed)
            return [self._local.compute(job, item) for item in items]
