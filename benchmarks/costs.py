"""The cost model of ``fedzda run --dry-run``: fitted, checked and projected.

    python benchmarks/costs.py --fit FILE           measure rounds, write the rates
    python benchmarks/costs.py --check [NAME …]     predicted and measured seconds of simulations
    python benchmarks/costs.py --project            ten million clients on clusters (docs/scale.md)
    python benchmarks/costs.py --population         index of up to ten million clients, built

Rates are fitted to the least of many rounds, since whatever else a machine does only adds to a
round: echoing clients with models of several sizes in cohorts of several sizes, on one process and
on two Ray workers. The fit is by least squares on logarithms, through the model itself. ``--check``
runs every simulation as the command line does. Bar: predicted within 20 % of measured.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from engine_cases import costs_check, costs_fit, costs_population, costs_project, machine
from engine_cases.process import end_cleanly


def main() -> None:
    """Do what the options say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", type=Path, metavar="FILE", help="write the rates here")
    parser.add_argument("--check", nargs="*", metavar="NAME", help="shipped simulations")
    parser.add_argument("--engines", nargs="+", default=["inline", "ray"])
    parser.add_argument("--set", nargs="+", default=[], metavar="a.b=value", help="for --check")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--project", action="store_true")
    parser.add_argument("--population", action="store_true")
    parser.add_argument("--json", type=Path, help="write what --check found")
    options = parser.parse_args()
    end_cleanly()
    where = machine.describe()
    if options.fit:
        options.fit.write_text(json.dumps(costs_fit.fit(where), indent=1) + "\n")
    if options.check is not None:
        names = options.check or costs_check.SHIPPED
        rows = costs_check.check(names, options.engines, options.repeats, options.set)
        print(f"{costs_check.markdown(rows)}\n\n{machine.line(where)}")
        if options.json:
            options.json.write_text(json.dumps({"machine": where, "rows": rows}, indent=1) + "\n")
    if options.project:
        print(costs_project.markdown())
    if options.population:
        print(f"{costs_population.markdown()}\n\n{machine.line(where)}")


if __name__ == "__main__":
    main()
