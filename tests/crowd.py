"""How crowded the machine is: limits of time hold for an idle one."""

import os


def crowd() -> float:
    """How many processes want a core at present, at least 1."""
    return max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))
