"""Compares finished runs: what differs in their configurations, then their fairness figures.

Runs that differ in nothing but the seed (and where they were written) form one group. A group of
several seeds gets intervals over seeds (Student's t: a bootstrap over five values is far too
narrow); a single run gets intervals over its clients. Differences to the first group are paired,
by seed or by client.
"""

from __future__ import annotations

from fedzda.platform.compare.comparison import Comparison, compare_runs, t_interval
from fedzda.platform.compare.groups import Group, groups_of

__all__ = ["Comparison", "Group", "compare_runs", "groups_of", "t_interval"]
