"""What tests of several folders share."""

import signal
from collections.abc import Iterator

import pytest


def pytest_configure() -> None:
    """Hear Ctrl-C, which a shell switches off for what it starts in the background.

    Processes that tests start and interrupt would not hear it either.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def running_ray() -> Iterator[None]:
    """One Ray of two CPUs for the tests of a file, which engines find and leave alone.

    Starting it takes longer than a tiny run.
    """
    import ray

    from fedzda.platform.config import RayConfig
    from fedzda.platform.engines.cluster import start_local

    start_local(RayConfig(workers=2))
    yield
    ray.shutdown()
