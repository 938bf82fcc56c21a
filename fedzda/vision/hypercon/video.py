"""Clips from files and folders of pictures, one frame at a time, and back.

A clip in a file is decoded as it is read, so its length does not matter. Frames are 8-bit RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import cv2
import numpy as np

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import Frame, Pixels, to_bytes

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
VIDEOS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v", ".mov": "mp4v"}
"""Kinds of files that are written, with their codecs."""
_FPS = 25.0


class Clip(Protocol):
    """A clip that can be read again and again."""

    fps: float
    """Frames per second."""

    def __iter__(self) -> Iterator[Pixels]:
        """Frames ``(H, W, 3)``."""
        ...

    def __len__(self) -> int:
        """Number of frames; of a video file, what its header says."""
        ...


def read_clip(path: Path) -> Clip:
    """The clip in a video file, or in a folder of pictures in the order of their names.

    Raises:
        UserError: No such file or folder, no video, no picture.
    """
    if path.is_dir():
        return FrameFolder(path)
    if not path.is_file():
        raise UserError(
            f"there is no file or folder '{path}'. Name a video, or a folder of frames."
        )
    return VideoFile(path)


class VideoFile:
    """A video file that OpenCV can decode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        opened = self._open()
        self.fps = float(opened.get(cv2.CAP_PROP_FPS)) or _FPS
        self._count = max(int(opened.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        opened.release()

    def _open(self) -> cv2.VideoCapture:
        opened = cv2.VideoCapture(str(self.path))
        if not opened.isOpened():
            raise UserError(
                f"'{self.path}' cannot be read as video: it is damaged, or of a kind that this "
                "OpenCV cannot decode. Convert it to MP4, or to a folder of PNG files."
            )
        return opened

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Pixels]:
        opened = self._open()
        try:
            while True:
                found, frame = opened.read()
                if not found:
                    return
                yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        finally:
            opened.release()


class FrameFolder:
    """A folder of pictures."""

    fps = _FPS

    def __init__(self, path: Path) -> None:
        self.files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES)
        if not self.files:
            raise UserError(
                f"folder '{path}' has no pictures ({', '.join(PICTURES)}). Name a folder of frames."
            )

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Pixels]:
        return map(read_picture, self.files)


def read_picture(path: Path) -> Pixels:
    """One picture ``(H, W, 3)``.

    Raises:
        UserError: It cannot be read.
    """
    found: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise UserError(f"picture '{path}' cannot be read. Save it again, or take it away.")
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def write_picture(path: Path, frame: Pixels) -> None:
    """One picture as PNG or what its name says."""
    if not cv2.imwrite(str(path), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)):
        raise OSError(f"picture '{path}' could not be written")


class ClipWriter:
    """Writes frames to a video file, or numbered PNG files to a new folder.

    Args:
        path: ``.mp4``, ``.avi``, ``.mkv`` or ``.mov``; a name without a suffix is a folder.
        fps: Frames per second of a file.

    Raises:
        UserError: Another suffix, the path exists, or a file is to hold frames of odd sides.
    """

    def __init__(self, path: Path, fps: float) -> None:
        check_target(path)
        self.path, self.fps, self.count = path, fps, 0
        self._writer: cv2.VideoWriter | None = None

    def write(self, frame: Frame) -> None:
        """The next frame, in [0, 1]; the first one sets the size of a file."""
        pixels = to_bytes(frame)
        if not self.path.suffix:
            self.path.mkdir(parents=True, exist_ok=True)
            write_picture(self.path / f"{self.count:06}.png", pixels)
        else:
            self._opened(pixels).write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        self.count += 1

    def _opened(self, pixels: Pixels) -> cv2.VideoWriter:
        if self._writer is None:
            height, width = pixels.shape[:2]
            check_sides(self.path, height, width)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            code = cv2.VideoWriter.fourcc(*VIDEOS[self.path.suffix.lower()])
            size = (pixels.shape[1], pixels.shape[0])
            self._writer = cv2.VideoWriter(str(self.path), code, self.fps, size)
            if not self._writer.isOpened():
                raise OSError(f"'{self.path}' could not be opened for writing video")
        return self._writer

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()


def check_target(path: Path) -> None:
    """Raises UserError if a clip cannot be written to ``path``."""
    if path.suffix and path.suffix.lower() not in VIDEOS:
        raise UserError(
            f"the result is to be '{path}', but a video ends in {', '.join(VIDEOS)}. A name "
            "without a suffix makes a folder of PNG files."
        )
    if path.exists():
        raise UserError(f"the result is to be '{path}', which exists already. Name a new one.")


def check_sides(path: Path, height: int, width: int) -> None:
    """Raises UserError if ``path`` is a file and a side odd: OpenCV would cut off a row or column
    and say nothing."""
    if path.suffix and (height % 2 or width % 2):
        raise UserError(
            f"the frames have {width}x{height} pixels, and a video file ('{path}') holds even "
            "numbers only. Give a name without a suffix: a folder of PNG files."
        )
