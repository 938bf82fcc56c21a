"""Both synthesizers on a tiny network trained on the digits of scikit-learn."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, Synthesizer, UserError, fingerprint, torch_rng
from fedzda.generators import quality
from fedzda.generators.config import BNMatchConfig, ImageDistillationConfig, ZSCGANConfig
from fedzda.generators.files import read_state
from fedzda.generators.image_distillation import ImageDistillation
from fedzda.generators.zs_cgan import ZSCGAN

CLASSES = range(10)


def synthesizer(kind, **options):
    if kind == "zs-cgan":
        return ZSCGAN(ZSCGANConfig(**{"steps": 60, **options}))
    return ImageDistillation(ImageDistillationConfig(**{"steps": 40, "batch_size": 100, **options}))


@pytest.fixture(scope="module", params=["zs-cgan", "image-distillation"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def fitted(kind, classifier, digits):
    made = synthesizer(kind)
    made.figures = made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
    return made


def test_inverting_a_small_batchnorm_network(fitted, classifier, digits):
    """The golden bar: 95 % agreement and BatchNorm statistics nearer than those of noise."""
    image = digits[2]
    noise = torch.rand(256, 1, 8, 8, generator=torch_rng(0, "noise"))
    labels = torch.zeros(256, dtype=torch.int64)
    of_noise = quality.assess(classifier, noise, labels, image, BNMatchConfig())
    assert fitted.figures["agreement"] >= 0.95
    assert fitted.figures["bn_loss"] < 0.5 * of_noise["bn_loss"]
    assert fitted.figures["class_entropy"] > 0.95


def test_images_carry_class_information(fitted, digits, train_net):
    """A network that saw nothing but synthetic images recognises real ones."""
    pixels, targets, image = digits
    labels = torch.arange(10).repeat(60)
    images = fitted.sample(labels, torch_rng(0, "sample"))
    student = train_net(image.normalize(images), labels, seed=2)
    assert quality.agreement(student, pixels, targets, image) > 0.3


def test_samples_are_images_in_range_and_follow_the_rng(fitted):
    assert isinstance(fitted, Synthesizer)
    labels = torch.tensor([3, 1, 4, 1, 5])
    first = fitted.sample(labels, torch_rng(0, "sample"))
    assert first.shape == (5, 1, 8, 8)
    assert first.dtype == torch.float32
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, fitted.sample(labels, torch_rng(0, "sample")))
    assert not torch.equal(first, fitted.sample(labels, torch_rng(1, "sample")))
    assert fitted.sample(labels[:0], torch_rng(0, "sample")).shape == (0, 1, 8, 8)


def test_fit_is_a_function_of_the_given_generator_alone(kind, classifier, digits):
    states = []
    for global_seed, rng_seed in [(1, 0), (2, 0), (1, 9)]:
        torch.manual_seed(global_seed)
        before = torch.random.get_rng_state()
        made = synthesizer(kind, steps=2)
        made.fit(classifier, CLASSES, digits[2], torch_rng(rng_seed, "fit"))
        assert torch.equal(before, torch.random.get_rng_state())
        states.append(fingerprint(made.state()))
    assert states[0] == states[1] != states[2]


def test_fit_leaves_the_classifier_as_it_was(kind, classifier, digits):
    victim = copy.deepcopy(classifier)
    victim[0].weight.requires_grad_(False)
    before = fingerprint(victim.state_dict())
    synthesizer(kind, steps=2).fit(victim, CLASSES, digits[2], torch_rng(0, "fit"))
    assert fingerprint(victim.state_dict()) == before
    assert not victim.training
    assert [p.requires_grad for p in victim.parameters()] == [False] + [True] * 9
    assert all(p.grad is None for p in victim.parameters())


def test_a_second_fit_continues(fitted, kind, classifier, digits):
    made = synthesizer(kind, steps=1)
    made.load_state(fitted.state(), digits[2])
    warm = made.fit(classifier, CLASSES, digits[2], torch_rng(1, "fit"))
    cold = synthesizer(kind, steps=1).fit(classifier, CLASSES, digits[2], torch_rng(1, "fit"))
    assert warm["bn_loss"] < 0.5 * cold["bn_loss"]


def test_state_and_file_round_trip(fitted, kind, classifier, digits, tmp_path):
    path = tmp_path / "generator.safetensors"
    fitted.save(path, fingerprint(classifier.state_dict()))
    saved = read_state(path)
    assert saved.classifier == fingerprint(classifier.state_dict())
    assert saved.config == fitted.config.model_dump(mode="json")
    assert saved.image == digits[2]
    assert saved.history["step"][-1] == fitted.config.steps
    assert saved.history["total"][-1] < saved.history["total"][0]
    assert [p.name for p in tmp_path.iterdir()] == ["generator.safetensors"]
    again = synthesizer(kind)
    again.load_state(saved.state, saved.image)
    labels = torch.arange(10)
    expected = fitted.sample(labels, torch_rng(0, "sample"))
    assert torch.equal(again.sample(labels, torch_rng(0, "sample")), expected)


def test_misfit_states_are_refused(fitted, kind):
    other = ImageSpec((3, 8, 8), 10, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(UserError, match="saved"):
        synthesizer(kind).load_state(fitted.state(), other)


def test_bad_requests_are_named(kind, classifier, digits):
    image = digits[2]
    with pytest.raises(UserError, match="at least one class"):
        synthesizer(kind).fit(classifier, [], image, torch_rng(0, "fit"))
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    with pytest.raises(UserError, match="norm: batch"):
        synthesizer(kind).fit(plain, CLASSES, image, torch_rng(0, "fit"))
    with pytest.raises(RuntimeError, match="call fit or load_state first"):
        synthesizer(kind).sample(torch.tensor([0]), torch_rng(0, "sample"))


def test_an_image_in_eval_mode_does_not_depend_on_other_labels(classifier, digits):
    made = synthesizer("zs-cgan", steps=3)
    made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
    mixed = made.sample(torch.tensor([7, 0, 1, 2]), torch_rng(0, "sample"))
    same = made.sample(torch.tensor([7, 7, 7, 7]), torch_rng(0, "sample"))
    torch.testing.assert_close(mixed[0], same[0])


def test_train_mode_fills_batches_and_keeps_the_statistics(classifier, digits):
    made = synthesizer("zs-cgan", steps=3, sample_mode="train", batch_size=8)
    made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
    before = fingerprint(made.state())
    # A lone image would be all zeros before the last bias without seven others in its batch.
    one = made.sample(torch.tensor([3]), torch_rng(0, "sample"))
    eight = made.sample(torch.tensor([3] * 8), torch_rng(0, "sample"))
    assert torch.equal(one[0], eight[0])
    assert fingerprint(made.state()) == before


def test_diversity_keeps_the_images_of_a_class_apart(classifier, digits):
    distances = []
    for weight in (0.0, 1.0):
        made = synthesizer("zs-cgan", diversity_weight=weight)
        figures = made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
        distances.append(figures["within_class_distance"])
    assert distances[1] > 1.5 * distances[0]


def test_pool_is_drawn_without_replacement_until_it_is_exhausted():
    made = ImageDistillation(ImageDistillationConfig())
    pool = torch.arange(6.0).view(6, 1, 1, 1) / 10
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    made.load_state({"images": pool, "labels": labels}, ImageSpec((1, 1, 1), 2, (0.0,), (1.0,)))
    drawn = made.sample(torch.tensor([0, 1, 0, 0, 0, 0, 0]), torch_rng(0, "sample")).flatten()
    zeros = drawn[[0, 2, 3, 4, 5, 6]]
    torch.testing.assert_close(zeros[:3].sort().values, torch.tensor([0.0, 0.2, 0.4]))
    torch.testing.assert_close(zeros[3:].sort().values, torch.tensor([0.0, 0.2, 0.4]))
    with pytest.raises(UserError, match=r"label 2 is not in the pool.*\[0, 1\]"):
        made.sample(torch.tensor([2]), torch_rng(0, "sample"))


def test_the_best_iterate_is_kept_and_not_the_last(classifier, digits):
    """With a step size that overshoots, the loss returned never rises with the steps."""
    losses = []
    for steps in range(1, 9):
        made = synthesizer("image-distillation", steps=steps, lr=50.0, tv_weight=0.0)
        figures = made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
        losses.append(figures["ce_loss"] + made.config.bn_weight * figures["bn_loss"])
    assert losses[-1] < losses[0]
    assert all(later <= earlier + 1e-4 for earlier, later in pairwise(losses))


def test_jitter_and_flip_move_whole_images():
    made = ImageDistillation(ImageDistillationConfig(jitter=1, flip=True))
    x_NCHW = torch.zeros(1, 1, 5, 5)
    x_NCHW[0, 0, 2, 1] = 1.0
    rng = torch_rng(0, "move")
    places = {tuple(made._moved(x_NCHW, rng)[0, 0].nonzero()[0].tolist()) for _ in range(300)}
    shifted = {(2 + down, 1 + right) for down in (-1, 0, 1) for right in (-1, 0, 1)}
    assert places == shifted | {(down, 4 - right) for down, right in shifted}


def test_a_term_against_a_student_needs_one(classifier, digits):
    for made, key in (
        (ZSCGAN(ZSCGANConfig(adversarial_weight=0.5)), "zs-cgan.adversarial_weight is 0.5"),
        (ImageDistillation(ImageDistillationConfig(js_weight=2.0)), "js_weight is 2"),
    ):
        with pytest.raises(UserError, match=rf"{key}, but there is no student.*student="):
            made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))


@pytest.mark.parametrize("kind", ["zs-cgan", "image-distillation"])
def test_a_student_draws_images_to_where_it_differs(kind, classifier, digits, train_net):
    pixels, labels, image = digits
    student = train_net(image.normalize(pixels), labels, seed=5, epochs=1).train()
    before = fingerprint(student.state_dict())
    key = "adversarial_weight" if kind == "zs-cgan" else "js_weight"
    agreed = []
    for weight in (0.0, 3.0):
        made = synthesizer(kind, **{key: weight})
        made.student = student
        made.fit(classifier, CLASSES, image, torch_rng(0, "fit"))
        wanted = torch.arange(10).repeat(20)
        images = made.sample(wanted, torch_rng(0, "sample"))
        agreed.append(quality.agreement(student, images, wanted, image))
    assert agreed[1] < agreed[0] - 0.05
    assert fingerprint(student.state_dict()) == before
    assert student.training


def test_the_norm_of_distilled_images_can_be_lowered(classifier, digits):
    norms = []
    for weight in (0.0, 0.5):
        made = synthesizer("image-distillation", l2_weight=weight)
        made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
        norms.append(float(digits[2].normalize(made.images).flatten(1).norm(dim=1).mean()))
    assert norms[1] < 0.9 * norms[0]


def test_a_preset_stands_where_a_key_is_left_out():
    config = ImageDistillationConfig(preset="deepinversion-c10", steps=7)
    assert (config.steps, config.lr, config.jitter, config.bn.distance) == (7, 0.05, 2, "l2norm")
    assert ImageDistillationConfig.model_validate(config.model_dump()) == config
    assert ImageDistillationConfig(preset="fedcog").js_weight == 0.1


@pytest.mark.parametrize("network", ["dafl32", "large", "cond-mul", "cond-bn"])
def test_zs_cgan_with_published_networks(network, classifier, digits):
    made = synthesizer("zs-cgan", network=network, channels=16, steps=30, schedule="cosine")
    made.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
    losses = made.history.columns
    assert losses["ce"][-1] < 0.9 * losses["ce"][0]
    images = made.sample(torch.arange(10), torch_rng(0, "sample"))
    assert 0 <= images.min() <= images.max() <= 1
    again = synthesizer("zs-cgan", network=network, channels=16)
    again.load_state(made.state(), digits[2])
    assert torch.equal(again.sample(torch.arange(10), torch_rng(0, "sample")), images)


def test_a_pool_has_every_class_or_says_that_it_cannot(classifier, digits):
    small = synthesizer("image-distillation", steps=1, batch_size=4, batches=3)
    small.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
    assert small.labels.unique().tolist() == list(CLASSES)
    assert small.sample(torch.arange(10), torch_rng(0, "sample")).shape == (10, 1, 8, 8)
    too_small = synthesizer("image-distillation", steps=1, batch_size=4, batches=2)
    with pytest.raises(UserError, match=r"keeps 8 images .* and 10 classes are asked for"):
        too_small.fit(classifier, CLASSES, digits[2], torch_rng(0, "fit"))
