"""What a run will cost in time, before it runs.

Read :mod:`fedzda.platform.costs.rounds` (one round as a function of its size), then
:mod:`fedzda.platform.costs.pilot` (what is timed on this machine) and
:mod:`fedzda.platform.costs.forecast` (both together, for a whole run).
"""
