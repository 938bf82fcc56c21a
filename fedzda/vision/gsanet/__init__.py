"""Semantic segmentation with global and selective attention (GSANet), and its baselines.

Liu, El-Khamy, Bai, Lee, *GSANet: Semantic Segmentation with Global and Selective Attention*, ICIP
2020, arXiv 2003.00830. Confirmed by its abstract: a sparsemax global attention in the place of the
average pooling of ASPP, a selective attention that condenses and diffuses multi-scale context, a
selective attention decoder, MobileNetEdge and Xception as feature networks. Widths, positions of
norms and training are not published in the abstract; ours are fields of ``config.py``.
"""
