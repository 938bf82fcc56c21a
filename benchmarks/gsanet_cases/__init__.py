"""Parts of ``benchmarks/gsanet.py``: what is compared, how it is trained, how it is told."""
