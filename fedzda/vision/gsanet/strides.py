"""Strides that turn into dilations once a feature network has reached its output stride."""

from __future__ import annotations


class Strides:
    """Hands out (stride, dilation) for one block after another.

    Args:
        output_stride: Largest ratio of image to map.
        reached: Ratio before the first block.
    """

    def __init__(self, output_stride: int, reached: int) -> None:
        self.output_stride = output_stride
        self.reached = reached
        self.dilation = 1

    def take(self, stride: int) -> tuple[int, int]:
        """What a block with ``stride`` gets; a stride that is not taken dilates it and the rest."""
        if self.reached * stride > self.output_stride:
            self.dilation *= stride
            return 1, self.dilation
        self.reached *= stride
        return stride, self.dilation
