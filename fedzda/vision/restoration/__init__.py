"""Real image denoising and real-world super-resolution, by the protocols of NTIRE 2020.

Denoising: Abdelhamed, Afifi, Timofte, Brown et al., CVPRW 2020, arXiv 2005.04117. Super-resolution:
Lugmayr, Danelljan, Timofte et al., CVPRW 2020, arXiv 2005.01996. What is confirmed and what is our
reconstruction stands in ``docs/methods/restoration.md``; ours are fields of ``config.py``.

Pixels are in [0, 1] everywhere. Every network maps ``(N, C, H, W)`` to ``(N, C, s H, s W)``, and a
denoiser with ``noise_map`` takes ``(N, 2 C, H, W)``: the image, then the standard deviation of the
noise of every pixel.
"""
