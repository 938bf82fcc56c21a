"""What is written down of a Flower app's run."""

from fedzda.platform.engines.calls import Call, Reply
from fedzda.platform.engines.grid import Exchange
from fedzda.platform.flower.records import AppRecords
from fedzda.platform.records import Content
from fedzda.platform.runs import RunFolder


def test_clients_that_failed_or_ran_again_are_counted(tmp_path):
    records = AppRecords(RunFolder(tmp_path), 0, lambda _: None)
    calls = [Call(client, "train", 1, Content(), Content()) for client in range(3)]
    told = Content(metrics={"metrics": {"num-examples": 4, "loss": 0.5}})
    replies = [Reply(0, told), Reply(1, told, retried=True), Reply(2, error="broken", retried=True)]
    for round_ in (1, 2):
        nothing = [0, 0, 0]
        sent = Exchange("train", round_, calls, replies, nothing, nothing, [None] * 3)
        records.observe(sent)
    records.end_round()
    assert records.failures == {"retried": 4, "lost": 2}
