"""What all tests share: their order."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start processes and browsers first: they wait much, and others fill the gaps."""
    slow = ("e2e", "browser")
    items.sort(key=lambda item: not any(item.get_closest_marker(mark) for mark in slow))
