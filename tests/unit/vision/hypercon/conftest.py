import cv2
import numpy as np
import pytest

from fedzda.vision.hypercon.photographs import photographs

cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def coffee():
    """A photograph, 8-bit, 400x600."""
    return photographs()["coffee"]


@pytest.fixture
def shifted(coffee):
    """Six frames of 48x64 that move by 3 pixels to the left, so the flow is (-3, 0)."""
    return [coffee[100:148, 200 + 3 * t : 264 + 3 * t].copy() for t in range(6)]


@pytest.fixture
def still(coffee):
    return [coffee[100:148, 200:264].copy()] * 4


@pytest.fixture
def noisy(shifted):
    rng = np.random.default_rng(0)
    made = [frame + rng.normal(0, 12, frame.shape) for frame in shifted]
    return [np.clip(frame.round(), 0, 255).astype(np.uint8) for frame in made]
