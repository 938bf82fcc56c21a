"""The same client as a Flower ClientApp, for Flower's stock engine and for deployment."""

from __future__ import annotations

import json
from typing import Any

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedzda.platform.engines.calls import Call, HandlerSpec
from fedzda.platform.engines.flower import DETAILS, PARTITION
from fedzda.platform.engines.worker import Worker
from fedzda.platform.records import Content, to_content, to_record

_workers: dict[str, Worker] = {}


def make_app(spec: HandlerSpec, seed: int, client_timeout: float | None) -> ClientApp:
    """A ClientApp that serves client ``context.node_config["partition-id"]``.

    The worker is built in the process that runs the app, once, when the first message comes.
    """
    app = ClientApp()

    def answer(message: Message, context: Context) -> Message:
        key = repr((spec, seed))
        if key not in _workers:
            _workers[key] = Worker(spec, seed, client_timeout)
        return _answer(_workers[key], message, context)

    @app.query()
    def who(message: Message, context: Context) -> Message:
        identity = MetricRecord({"id": int(context.node_config["partition-id"])})
        return Message(RecordDict({PARTITION: identity}), reply_to=message)

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
