"""HyperCon: an image model made consistent on video, without training it on video.

Szeto, El-Khamy, Lee, Corso, *HyperCon: Image-To-Video Model Transfer for Video-To-Video Translation
Tasks*, WACV 2021, arXiv 1912.04950. Confirmed by its abstract: the image model translates a
temporally interpolated video frame by frame, and temporally local windows of the result are
aggregated; with masks and without. Flow, weights, pooling and all numbers are our choice:
fields of ``config.py``.
"""
