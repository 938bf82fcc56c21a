"""Parts of ``benchmarks/diffusion.py``: what is trained, sampled, measured and told."""
