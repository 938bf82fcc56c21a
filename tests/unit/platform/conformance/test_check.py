"""``fedzda check``: good components pass, and every rule that is broken is told in a sentence."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.catalog import CATALOG
from fedzda.platform.cli.app import app
from fedzda.platform.conformance import Broken, check
from fedzda.platform.conformance.check import Bench, _rules
from fedzda.platform.conformance.findings import reason
from fedzda.platform.conformance.subject import KINDS, kind_of, subject_of
from fedzda.platform.conformance.tiny import DIGITS

HERE = Path(__file__).parent
PARTS = "broken_parts"


@pytest.fixture(autouse=True)
def folder(monkeypatch):
    """The components of ``broken_parts.py`` can be imported, as those beside a user's file."""
    monkeypatch.syspath_prepend(str(HERE))


def broken(name, rule, tmp_path, kind=None, **args):
    """What the rule whose name begins like that says about a component; None: nothing."""
    with subject_of(f"{PARTS}:{name}", kind, args) as subject:
        bench = Bench(subject, DIGITS, HERE, tmp_path)
        (found,) = [run for words, run in _rules(subject.kind) if words.startswith(rule)]
        try:
            found(bench)
        except Broken as problem:
            return str(problem)
        except Exception as error:
            return reason(error)
    return None


@pytest.mark.parametrize(
    ("name", "rule", "says"),
    [
        ("Fine", "it fits", None),
        ("Fine", "equal seeds", None),
        ("Fine", "the loss reaches", None),
        ("Fine", "in eval mode", None),
        ("TooFew", "it fits", "logits of shape"),
        ("Untrained", "it fits", "no parameter that could be trained"),
        ("Clock", "equal seeds", "built twice with one seed, 'net.weight' differs"),
        ("Idle", "the loss reaches", "does not reach spare.weight, spare.bias"),
        ("Crowd", "in eval mode", "depends on the rest of the batch"),
        ("Endless", "its state is", "'net.bias' is not finite before the first step"),
    ],
)
def test_models(name, rule, says, tmp_path):
    found = broken(name, rule, tmp_path)
    assert found is None if says is None else says in found


@pytest.mark.parametrize(
    ("name", "rule", "says"),
    [
        ("Distance", "it says", None),
        ("Distance", "its loss", None),
        ("Distance", "its metrics", None),
        ("Distance", "metrics of no sample", None),
        ("Distance", "losses of single", None),
        ("ManyLosses", "its loss", "without dimensions, the mean (got (8,))"),
        ("NoGradient", "its loss", "no gradient"),
        ("MeanOfMeans", "its metrics", "float64 with one entry per sample, shape (8, …)"),
        ("Relative", "its metrics", "from the sums of its two halves"),
        ("Unnamed", "its metrics", "primary is 'quality', but metrics returns distance"),
        ("DividesPython", "metrics of no sample", "must be NaN, and divide by zero instead"),
        ("TwoLosses", "losses of single", "so they must agree"),
    ],
)
def test_tasks(name, rule, says, tmp_path):
    found = broken(name, rule, tmp_path)
    assert found is None if says is None else says in found


@pytest.mark.parametrize(
    ("name", "rule", "says"),
    [
        ("halves", "each row", None),
        ("halves", "every client", None),
        ("halves", "equal random", None),
        ("twice", "each row", "a row is dealt to more than one client"),
        ("short_offsets", "each row", "offsets must have 6 entries"),
        ("hungry", "every client", "leave client 4 without any"),
        ("moody", "equal random", "draw from the rng that is given"),
        ("sorts_labels", "each row", "changes the labels"),
        ("points", "it knows", None),
        ("points", "it gives", None),
        ("listed", "it knows", "must return RawData"),
        ("timed", "it knows", "identity changes from call to call"),
        ("fresh", "it gives", "other labels each time"),
        ("Fog", "images keep", None),
        ("Flood", "images keep", "pixels in [0, 1]: clamp"),
    ],
)
def test_data(name, rule, says, tmp_path):
    found = broken(name, rule, tmp_path)
    assert found is None if says is None else says in found


@pytest.mark.parametrize(
    ("name", "rule", "says"),
    [
        ("Steady", "it asks", None),
        ("Stuck", "rounds change", "left every weight as it was"),
        ("Forgetful", "a resumed", "must stand in state()"),
        ("Lottery", "a simulation runs", "all randomness must come from"),
        ("Everybody", "it asks", "clients_per_round is 3, and round 1 asked 4"),
        ("Diverges", "a simulation runs", "client 0 failed in round 2 (train): "),
        ("Fails", "a simulation runs", "failed: ValueError: nothing to aggregate."),
    ],
)
def test_strategies(name, rule, says, tmp_path):
    found = broken(name, rule, tmp_path)
    assert found is None if says is None else says in found


@pytest.mark.parametrize(
    ("name", "rule", "says"),
    [
        ("Plain", "it fits", None),
        ("Plain", "it leaves", None),
        ("Plain", "it makes", None),
        ("Plain", "equal random", None),
        ("Plain", "its state", None),
        ("Plain", "its file", None),
        ("Plain", "a second fit", None),
        ("Boasting", "it fits", "from 0 to 1 (got 1.5)"),
        ("Meddling", "it leaves", "of the classifier: leave it in eval mode"),
        ("Training", "it leaves", "leaves the classifier in train mode"),
        ("Dazzling", "it makes", "pixels in [0, 1], not normalised: clamp them"),
        ("Single", "it makes", "images of shape (6, 1, 8, 8) (got (1, 1, 8, 8))"),
        ("Whimsical", "equal random", "draw from the rng that is given"),
        ("Oblivious", "its state", "everything that sample needs must be in state()"),
        ("Anonymous", "its file", "must hold the classifier's fingerprint"),
        ("Once", "a second fit", "fitted already"),
    ],
)
def test_synthesizers(name, rule, says, tmp_path):
    found = broken(name, rule, tmp_path)
    assert found is None if says is None else says in found


@pytest.mark.parametrize(
    ("name", "rule", "says"),
    [
        ("Same", "there is", None),
        ("Same", "the global model", None),
        ("Same", "equal turns", None),
        ("Same", "entries come back", None),
        ("Same", "training on", None),
        ("Same", "what is deployed", None),
        ("Same", "its cost", None),
        ("Borrowing", "the global model", "build must return a copy"),
        ("Shaky", "equal turns", "must follow from the turn"),
        ("Doubling", "entries come back", "must come back to the places"),
        ("Partial", "entries come back", "Set whole to False"),
        ("Frozen", "training on", "and these must be covered"),
        ("Noisy", "what is deployed", "gives other answers the second time"),
        ("Free", "its cost", "cost().macs must be a whole number above 0 (got 0)"),
        ("Bloated", "its cost", "cost().bytes is 1000000000, that of the full model"),
        ("Priceless", "its cost", "must return a fedzda.base.Cost (got NoneType)"),
        ("OtherAnswers", "there is", "gives (8, 3) and the global model (8, 10) (answer)"),
        ("Wrapped", "entries come back", "which the global model does not have: use the names"),
        ("Cut", "entries come back", "in the shape of the global model, (4, 1, 5, 5) (got (1,"),
        ("Doubles", "entries come back", "of the global model, float32 (got float64)"),
        ("Tensors", "entries come back", "as a NumPy array (got Tensor"),
        ("Lonely", "entries come back", "must return two dictionaries"),
        ("OneArgument", "there is", "cannot be made as Class(config, model, image): TypeError"),
        ("Bare", "there is", "derives from fedzda.platform.config.VariantConfig"),
    ],
)
def test_variants(name, rule, says, tmp_path):
    found = broken(name, rule, tmp_path)
    assert found is None if says is None else says in found


def test_a_whole_check_tells_every_finding_and_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = dict(CATALOG["partitioners"])
    told = []
    report = check(f"{PARTS}:hungry", tell=told.append)
    assert report.kind == "partitioner"
    assert report.findings == told
    assert [finding.ok for finding in told] == [True, False, True, True]
    assert report.problems == [told[1].problem]
    assert CATALOG["partitioners"] == before
    assert not list(tmp_path.iterdir())


def test_a_simulation_of_larger_cohorts_breaks_no_rule(tmp_path):
    """The check has four clients where one of them holds a single sample."""
    strategy = {"name": "fed-avg", "clients_per_round": 6}
    base = DIGITS | {"strategy": strategy, "evaluate": {"clients": 5}}
    base["data"] = DIGITS["data"] | {"clients": 6, "partition": {"name": "iid"}}
    with subject_of(f"{PARTS}:Fine", None, {}) as subject:
        (rule,) = [run for words, run in _rules("model") if words.startswith("a client with")]
        rule(Bench(subject, base, HERE, tmp_path))


def test_a_broken_first_rule_ends_the_check():
    report = check(f"{PARTS}:TooFew")
    assert len(report.findings) == 1


def test_exit_codes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(app, ["check", *arguments])

    kept = call(f"{PARTS}:Fog", "--args", "{density: 0.2}")
    assert kept.exit_code == 0, kept.output
    assert "keeps all 2 rules for a shift" in kept.output
    broken = call(f"{PARTS}:TooFew")
    assert broken.exit_code == 1
    assert "FAILED  it fits the images and the task" in broken.output
    assert call("no_such_module:Net").exit_code == 2
    assert call(f"{PARTS}:Fog", "--args", "7").exit_code == 2


def test_kinds_are_told_apart():
    for name, kind in [
        ("Fine", "model"), ("Distance", "task"), ("points", "dataset"), ("halves", "partitioner"),
        ("Fog", "shift"), ("Steady", "strategy"), ("Plain", "synthesizer"), ("Same", "variant"),
    ]:  # fmt: skip
        assert kind_of(name, plugins.import_target(f"{PARTS}:{name}")) == kind
    known = {"model", "task", "dataset", "partitioner", "shift", "strategy"}
    assert known | {"synthesizer", "variant"} == set(KINDS)


def test_what_cannot_be_checked_is_the_users_error():
    with pytest.raises(UserError, match="cannot be imported: ModuleNotFoundError"):
        check("no_such_module:Net")
    with pytest.raises(UserError, match=r"what kind of component .* cannot be told"):
        check(f"{PARTS}:NUMBER")
    with pytest.raises(UserError, match=r"--kind is 'motel'. Choose one of: model"):
        check(f"{PARTS}:Fine", kind="motel")
    with pytest.raises(UserError, match="is the name of a component of fedzda's own"):
        check(f"{PARTS}:Borrowed")
    with pytest.raises(UserError, match="its Config needs a field such as name"):
        check(f"{PARTS}:Nameless")
