import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a cache of its own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FEDZDA_CACHE", str(folder))
    return folder


@pytest.fixture
def png() -> Callable[..., bytes]:
    """Encodes pixels (H, W) or (H, W, 3) as a file."""

    def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(pixels)).save(buffer, format=kind)
        return buffer.getvalue()

    return encode


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    """200 grey 2x2 images of four classes; image i holds the value i."""
    labels = np.arange(200) % 4
    images = np.repeat(np.arange(200, dtype=np.uint8), 4).reshape(200, 2, 2)
    path = tmp_path / "toy.npz"
    np.savez(path, image=images, label=labels, user=np.array([f"u{i % 7}" for i in range(200)]))
    return path
