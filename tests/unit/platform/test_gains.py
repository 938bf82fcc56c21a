import json

import pandas as pd
import pytest

from fedzda.base import UserError
from fedzda.platform.gains import gain_over_local, sentence


def folder(path, values):
    (path / "clients").mkdir(parents=True)
    (path / "config.yaml").write_text("name: x\n")
    (path / "meta.json").write_text(json.dumps({}))
    same = {"phase": "evaluate", "split": "test", "stage": "global", "metric": "accuracy"}
    rows = [
        {"round": r, "client": c, "value": v, **same}
        for r, table in values.items()
        for c, v in table.items()
    ]
    pd.DataFrame(rows).to_parquet(path / "clients" / "part-000001.parquet")
    return path


def test_gain_by_hand(tmp_path):
    run = folder(tmp_path / "fed", {1: {0: 0.0, 1: 0.0, 2: 0.0}, 2: {0: 0.9, 1: 0.5, 2: 0.8}})
    local = folder(tmp_path / "local", {3: {0: 0.7, 1: 0.6, 5: 1.0}})
    found = gain_over_local(run, local)
    assert found["n"] == 2
    assert found["mean_gain"] == pytest.approx(0.05)
    assert found["share_worse_off"] == 0.5
    assert "+5.0 points over training alone in the mean of 2 clients; 50% are worse" in sentence(
        run, local
    )


def test_a_run_in_which_clients_train_together_is_refused(tmp_path):
    run = folder(tmp_path / "fed", {1: {0: 0.5}})
    other = folder(tmp_path / "other", {1: {0: 0.5}})
    (other / "config.yaml").write_text("name: x\nstrategy: {name: fed-avg}\n")
    with pytest.raises(UserError, match=r"clients train alone .* is one of 'fed-avg'"):
        gain_over_local(run, other)
    (other / "config.yaml").write_text("name: x\nstrategy: {target: 'mine:Alone'}\n")
    assert gain_over_local(run, other)["n"] == 1


def test_nothing_in_common_is_said(tmp_path):
    run = folder(tmp_path / "fed", {1: {0: 0.5}})
    local = folder(tmp_path / "local", {1: {1: 0.5}})
    with pytest.raises(UserError, match="no evaluated client in common"):
        gain_over_local(run, local)


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ("miou", "+5.0 points of mIoU over training alone in the mean of 2 clients; 50% are"),
        ("psnr", "+0.05 dB of PSNR over training alone"),
        ("noise_error", "-0.05 of noise error (a plus is less of it) over training alone"),
    ],
)
def test_the_gain_is_in_the_metric_of_the_run(tmp_path, metric, told):
    run = folder(tmp_path / "fed", {1: {0: 0.9, 1: 0.5}})
    local = folder(tmp_path / "local", {1: {0: 0.7, 1: 0.6}})
    for path in (run, local):
        part = path / "clients" / "part-000001.parquet"
        pd.read_parquet(part).assign(metric=metric).to_parquet(part)
        (path / "summary.json").write_text(json.dumps({"metrics": {"loss": {}, metric: {}}}))
    assert told in sentence(run, local)


def test_keys_that_deal_nothing_out_make_no_other_data(tmp_path):
    run = folder(tmp_path / "fed", {1: {0: 0.5}})
    local = folder(tmp_path / "local", {1: {0: 0.5}})
    (run / "config.yaml").write_text("data: {clients: 4, missing_classes: allow, attribute: skin}")
    (local / "config.yaml").write_text("data: {clients: 4, missing_classes: fail}")
    assert gain_over_local(run, local)["n"] == 1
    (local / "config.yaml").write_text("data: {clients: 5}")
    with pytest.raises(UserError, match=r"hold other data, .*data.clients is 4 and 5"):
        gain_over_local(run, local)
