"""The sides of ``benchmarks/engine.py``, each run in a process of its own.

``workloads``, ``job``, ``models`` and ``tensors`` import nothing of ours outside this folder, so
that the side of pfl-research can use them in its own environment.
"""
