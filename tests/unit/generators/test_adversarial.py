"""Adversarial distillation on the digits of scikit-learn, with tiny networks."""

import copy

import pytest
import torch
from torch import nn

from fedzda.base import RunError, Synthesizer, UserError, fingerprint, torch_rng
from fedzda.generators import quality
from fedzda.generators.adversarial import Adversarial, distill, fresh_copy
from fedzda.generators.adversarial_game import Game
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.config import AdversarialConfig
from fedzda.generators.features import last_features
from fedzda.generators.files import read_state

CLASSES = range(10)


def config(**options):
    small = {
        "network": "transposed",
        "channels": 32,
        "z_size": 64,
        "batch_size": 64,
        "warmup_steps": 40,
        "steps": 40,
        "student_steps": 5,
        "student_lr": 0.05,
        "codes_per_class": 20,
    }
    return AdversarialConfig(**{**small, **options})


class Table:
    """A game whose steps can be made one by one."""

    def __init__(self, teacher, students, image, **options):
        self.game = Game(teacher, students, image, config(**options), torch_rng(0, "game"))
        self.game.match = BNMatch(teacher, self.game.config.bn)
        self.game.seen = last_features(teacher).__enter__()
        self.game.student_seen = [last_features(s).__enter__() for s in students]
        self.player = self.game.players[0]

    def distance(self, noise_state):
        """KL from teacher to student 0 on the noise of a state of the player's stream."""
        self.player.rng.set_state(noise_state)
        z_ND, _ = self.game._noise(self.player, self.game.config.batch_size)
        with torch.no_grad():
            x = self.player.generator.train().seen(self.player.generator(z_ND))
            for student in self.game.students:
                student.eval()
            return float(self.game._distance(x, self.game.teacher(x)))


@pytest.fixture
def table(classifier, digits, fresh_net):
    def make(**options):
        made = Table(copy.deepcopy(classifier), [fresh_net], digits[2], **options)
        made.game.teacher.requires_grad_(False)
        return made

    return make


def test_a_generator_step_raises_the_distance_and_a_student_step_lowers_it(table):
    """Golden: the two sides of the game pull in opposite directions."""
    made = table(alpha=0.0, generator_lr=1e-3, student_images="eval", student_lr=0.01)
    noise = made.player.rng.get_state()
    before = made.distance(noise)
    made.player.rng.set_state(noise)
    made.game.generator_step(made.player)
    raised = made.distance(noise)
    assert raised > before
    made.player.generator.train()
    for _ in range(5):
        made.game.student_step()
    assert made.distance(noise) < raised


def test_a_generator_step_leaves_teacher_and_students_alone(table):
    """Trap: a student in training mode would move its BatchNorm statistics (and does elsewhere)."""
    made = table()
    student = made.game.students[0].train()
    before = [fingerprint(m.state_dict()) for m in (made.game.teacher, student)]
    made.game.generator_step(made.player)
    assert [fingerprint(m.state_dict()) for m in (made.game.teacher, student)] == before
    assert all(p.grad is None for p in student.parameters())
    generator = fingerprint(made.player.generator.state_dict())
    made.game.student_step()
    assert fingerprint(student.state_dict()) != before[1]
    weights = dict(made.player.generator.named_parameters())
    assert student.training
    assert fingerprint(made.player.generator.state_dict()) != generator  # running statistics only
    assert all(p.grad is not None for p in weights.values()), "of the generator's own step"


def test_students_see_equal_parts_from_all_generators(table):
    made = table(generators=4, batch_size=40)
    seen = []
    made.game.students[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    made.game.student_step()
    assert [len(x) for x in seen] == [40]
    streams = {tuple(torch.randn(3, generator=p.rng).tolist()) for p in made.game.players}
    assert len(streams) == 4
    weights = {fingerprint(p.generator.state_dict()) for p in made.game.players}
    assert len(weights) == 4


def test_distillation_without_data_teaches(classifier, digits, fresh_net, train_net):
    pixels, labels, image = digits
    teacher = copy.deepcopy(classifier)
    before = fingerprint(teacher.state_dict())
    steps = []
    history = distill(
        teacher,
        [fresh_net],
        image,
        config(warmup_steps=60, steps=80),
        torch_rng(0, "distill"),
        lambda phase, step, losses: steps.append((phase, step, losses["bn"])),
    )
    assert quality.agreement(fresh_net, pixels, labels, image) > 0.8
    assert fingerprint(teacher.state_dict()) == before
    assert not fresh_net.training
    assert [s[:2] for s in (steps[0], steps[59], steps[60], steps[-1])] == [
        ("warm-up", 1),
        ("warm-up", 60),
        ("main", 1),
        ("main", 80),
    ]
    assert history["step"] == list(range(1, 141))
    assert history["bn"][-1] < 0.3 * history["bn"][0]
    assert history["student"][0] == 0.0 < history["student"][-1]


def test_two_generators_and_two_students_of_different_kinds(classifier, digits, fresh_net):
    pixels, labels, image = digits
    other = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU())
    other.append(nn.Linear(32, 10))
    options = config(generators=2, steps=60, repulsion_weight=1.0, generator_schedule="cosine")
    history = distill(classifier, [fresh_net, other], image, options, torch_rng(0, "distill"))
    assert quality.agreement(fresh_net, pixels, labels, image) > 0.7
    assert quality.agreement(other, pixels, labels, image) > 0.5
    assert all(-1 <= value <= 1 for value in history["repulsion"])


def test_distillation_is_a_function_of_the_given_generator_alone(classifier, digits, fresh_net):
    marks = []
    for global_seed, rng_seed in [(1, 0), (2, 0), (1, 9)]:
        torch.manual_seed(global_seed)
        before = torch.random.get_rng_state()
        student = copy.deepcopy(fresh_net)
        options = config(warmup_steps=2, steps=2)
        distill(classifier, [student], digits[2], options, torch_rng(rng_seed, "distill"))
        assert torch.equal(before, torch.random.get_rng_state())
        marks.append(fingerprint(student.state_dict()))
    assert marks[0] == marks[1] != marks[2]


def test_features_are_matched_where_they_have_one_size(classifier, digits, fresh_net):
    options = config(warmup_steps=1, steps=2, feature_weight=1.0)
    plain = config(warmup_steps=1, steps=2)
    marks = []
    for chosen in (options, plain):
        student = copy.deepcopy(fresh_net)
        distill(classifier, [student], digits[2], chosen, torch_rng(0, "distill"))
        marks.append(fingerprint(student.state_dict()))
    assert marks[0] != marks[1]
    narrow = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(UserError, match=r"teacher and student have 48 and 64 numbers.*Set it to 0"):
        distill(classifier, [narrow], digits[2], options, torch_rng(0, "distill"))


def test_bad_requests_are_named(classifier, digits, fresh_net):
    image, rng = digits[2], torch_rng(0, "distill")
    with pytest.raises(UserError, match="at least one student"):
        distill(classifier, [], image, config(), rng)
    with pytest.raises(UserError, match="training mode"):
        distill(copy.deepcopy(classifier).train(), [fresh_net], image, config(), rng)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    with pytest.raises(UserError, match="norm: batch"):
        distill(plain, [fresh_net], image, config(), rng)
    small = nn.Sequential(nn.Flatten(), nn.Linear(64, 9))
    with pytest.raises(UserError, match=r"gives \(2, 9\)"):
        distill(classifier, [small], image, config(), rng)
    with pytest.raises(UserError, match="'cond-bn', which needs labels"):
        distill(classifier, [fresh_net], image, config(network="cond-bn"), rng)
    with pytest.raises(RuntimeError, match="call fit or load_state first"):
        Adversarial(config()).sample(torch.tensor([0]), rng)


def test_a_collapsed_generator_stops_the_game(classifier, digits, fresh_net):
    """Nothing but certainty about single images is asked for, so one class is enough."""
    options = config(
        bn_weight=0.0, batch_entropy_weight=-0.0, generator_lr=0.05, warmup_steps=300
    ).model_copy(update={"collapse_steps": 20, "collapse_entropy": 0.6})
    with pytest.raises(RunError, match="generator 0 has collapsed: for 20 steps"):
        distill(classifier, [fresh_net], digits[2], options, torch_rng(0, "distill"))


@pytest.fixture(scope="module", params=[False, True], ids=["codes", "conditional"])
def fitted(request, classifier, digits):
    made = Adversarial(config(conditional=request.param, generators=2, alpha=0.1))
    made.figures = made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
    return made


def test_samples_have_the_labels_asked_for(fitted, classifier, digits):
    assert isinstance(fitted, Synthesizer)
    assert fitted.figures["agreement"] > 0.9
    assert fitted.figures["missing_classes"] == 0
    labels = torch.tensor([3, 1, 4, 1, 5] * 8)
    images = fitted.sample(labels, torch_rng(0, "sample"))
    assert images.shape == (40, 1, 8, 8)
    assert 0 <= images.min() <= images.max() <= 1
    assert torch.equal(images, fitted.sample(labels, torch_rng(0, "sample")))
    assert not torch.equal(images, fitted.sample(labels, torch_rng(1, "sample")))
    assert quality.agreement(classifier, images, labels, digits[2]) > 0.9
    assert fitted.sample(labels[:0], torch_rng(0, "sample")).shape == (0, 1, 8, 8)


def test_file_round_trip(fitted, digits, tmp_path):
    fitted.save(tmp_path / "generator.safetensors", "mark")
    saved = read_state(tmp_path / "generator.safetensors")
    assert saved.classifier == "mark"
    assert len(saved.history["student"]) == 80
    again = Adversarial(AdversarialConfig(**saved.config))
    again.load_state(saved.state, saved.image)
    labels = torch.arange(10)
    expected = fitted.sample(labels, torch_rng(0, "sample"))
    assert torch.equal(again.sample(labels, torch_rng(0, "sample")), expected)
    other = Adversarial(fitted.config.model_copy(update={"channels": 16}))
    with pytest.raises(UserError, match="do not fit the configuration"):
        other.load_state(saved.state, saved.image)


def test_a_second_fit_goes_on_without_a_warm_up(fitted, classifier, digits):
    made = Adversarial(fitted.config.model_copy(update={"steps": 1}))
    made.load_state(fitted.state(), digits[2])
    figures = made.fit(classifier, CLASSES, digits[2], torch_rng(1, "fit"))
    assert made.history.columns["step"] == [1]
    assert figures["bn_loss"] < 3 * fitted.figures["bn_loss"]


def test_only_the_classes_asked_for_have_codes(classifier, digits):
    made = Adversarial(config(warmup_steps=40, steps=1))
    made.fit(classifier, [2, 7], digits[2], torch_rng(0, "fit"))
    assert made.code_labels.unique().tolist() == [2, 7]
    with pytest.raises(UserError, match=r"label 3 is not in the pool of adversarial.*\[2, 7\]"):
        made.sample(torch.tensor([3]), torch_rng(0, "sample"))


def test_a_class_that_is_never_made_takes_the_codes_most_like_it(classifier, digits):
    blind = copy.deepcopy(classifier)
    with torch.no_grad():
        blind[-1].bias[4] = -1000.0  # never the largest
    made = Adversarial(config(warmup_steps=20, steps=1, codes_per_class=6))
    figures = made.fit(blind, CLASSES, digits[2], torch_rng(0, "fit"))
    assert figures["missing_classes"] == 1
    assert torch.bincount(made.code_labels, minlength=10)[4] == 6


def test_a_fresh_copy_forgets_everything(classifier):
    class Scaled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner
            self.own = nn.Parameter(torch.linspace(0, 1, 50))

        def forward(self, x):
            return self.inner(x) * self.own.mean()

    model = Scaled(copy.deepcopy(classifier))
    before = fingerprint(model.state_dict())
    fresh = fresh_copy(model)
    assert fingerprint(model.state_dict()) == before
    for (name, old), new in zip(model.named_parameters(), fresh.parameters(), strict=True):
        constant = name.startswith(("inner.1.", "inner.5.")) and new.unique().numel() == 1
        assert constant or not torch.isclose(old, new).any(), name
    assert fresh.inner[1].running_mean.eq(0).all()
