"""The version of scikit-image, which ships the pictures."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from fedzda.base import UserError


def installed(name: str) -> str:
    """The version; raises UserError, naming the data set, if it is not installed."""
    try:
        return version("scikit-image")
    except PackageNotFoundError as error:
        raise UserError(
            f"data.name is '{name}', which needs the package scikit-image. Run: "
            "pip install 'fedzda[vision]'"
        ) from error
