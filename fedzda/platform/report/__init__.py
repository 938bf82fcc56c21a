"""The report of a run, made from its files: ``build.build_report``."""
