import re

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.generators.checks import check_classifier

IMAGE = ImageSpec((1, 8, 8), 10, (0.5,), (0.5,))


def test_a_good_classifier_passes_and_is_left_alone(classifier, digits):
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    check_classifier(classifier, digits[2])
    assert all(torch.equal(before[k], v) for k, v in classifier.state_dict().items())


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (ImageSpec((1, 8, 8), 1, (0.5,), (0.5,)), "at least 2 classes (got 1)"),
        (ImageSpec((3, 8, 8), 10, (0.5,) * 3, (0.5,) * 3), "cannot take images of shape (3, 8, 8)"),
        (ImageSpec((1, 9, 9), 10, (0.5,), (0.5,)), "cannot take images of shape (1, 9, 9)"),
        (ImageSpec((1, 8, 8), 7, (0.5,), (0.5,)), "gives (2, 10) for 2 images"),
    ],
)
def test_images_that_do_not_fit(classifier, image, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        check_classifier(classifier, image)


def test_training_mode_is_refused(fresh_net):
    with pytest.raises(UserError, match=r"training mode.*model\.eval\(\)"):
        check_classifier(fresh_net.train(), IMAGE)
    fresh_net.eval()
    fresh_net[1].train()
    with pytest.raises(UserError, match="training mode"):
        check_classifier(fresh_net, IMAGE)


def test_something_that_gives_no_logits():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    with pytest.raises(UserError, match="gives tuple for 2 images"):
        check_classifier(Pair().eval(), IMAGE)


def test_a_model_that_checks_its_images_itself():
    class Coloured(nn.Module):
        def forward(self, x):
            assert x.shape[1] == 3
            return x.mean((2, 3))

    with pytest.raises(UserError, match=r"cannot take images of shape \(1, 8, 8\)"):
        check_classifier(Coloured().eval(), IMAGE)
