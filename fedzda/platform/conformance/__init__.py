"""What a component must do to be used in simulations, checked one by one.

``fedzda check module:Name`` runs the checks of a kind on a user's own component; the conformance
suite of this repository runs the same functions on those that ship.

>>> from fedzda.platform.conformance import check
>>> check("my_package.models:Net").problems                     # doctest: +SKIP
[]
"""

from fedzda.platform.conformance.check import Report, check
from fedzda.platform.conformance.findings import Broken, Finding

__all__ = ["Broken", "Finding", "Report", "check"]
