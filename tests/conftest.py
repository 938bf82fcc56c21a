"""What tests of several folders share."""

from collections.abc import Iterator

import pytest


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
