"""The same client as a Flower ClientApp, for Flower's stock engine and for deployment."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedzda.platform.engines.calls import Call, HandlerSpec
from fedzda.platform.engines.messages import DETAILS, PARTITION, UNNUMBERED
from fedzda.platform.engines.worker import Worker
from fedzda.platform.records import Content, to_content, to_record

_workers: dict[str, Worker] = {}


def make_app(spec: HandlerSpec, seed: int, client_timeout: float | None) -> ClientApp:
    """A ClientApp that serves client ``context.node_config["partition-id"]``.

    The worker is built in the process that runs the app, once, when the first message comes.
    """

    return app_of(partial(_worker, spec, seed, client_timeout))


def _worker(spec: HandlerSpec, seed: int, client_timeout: float | None, context: Context) -> Worker:
    key = repr((spec, seed))
    if key not in _workers:
        _workers[key] = Worker(spec, seed, client_timeout)
    return _workers[key]


def app_of(worker: Callable[[Context], Worker]) -> ClientApp:
    """A ClientApp whose messages a worker answers, which may depend on the node's context."""
    app = ClientApp()

    def answer(message: Message, context: Context) -> Message:
        return _answer(worker(context), message, context)

    @app.query()
    def who(message: Message, context: Context) -> Message:
        number = int(context.node_config.get("partition-id", UNNUMBERED))
        return Message(RecordDict({PARTITION: MetricRecord({"id": number})}), reply_to=message)

    app.query("loss")(answer)
    app.query("exemplars")(answer)
    app.train()(answer)
    app.evaluate()(answer)
    return app


def _answer(worker: Worker, message: Message, context: Context) -> Message:
    """Carry one Flower message out; the client's state lives in the context."""
    content = to_content(message.content)
    call = Call(
        client=int(context.node_config["partition-id"]),
        phase=message.metadata.message_type,
        round=int(content.config().get("server-round", 0)),
        content=content,
        state=to_content(context.state),
    )
    reply = worker.one(call)
    if reply.error:
        raise RuntimeError(reply.error)
    if reply.state != Content():
        context.state = to_record(reply.state)
    record: RecordDict = to_record(reply.content)
    # Flower's strategies allow one metric record only, so the rest travels as JSON
    rest: dict[str, Any] = {
        "details": reply.details,
        "split": reply.split,
        "bytes_up": reply.bytes_up,
    }
    record[DETAILS] = ConfigRecord({"json": json.dumps(rest), "seconds": reply.seconds})
    return Message(record, reply_to=message)
