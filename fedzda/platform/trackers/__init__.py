"""Trackers: optional sinks for the records of a run, ``trackers:`` in the configuration.

A tracker gets what ``rounds.jsonl`` gets, round by round, as named numbers. It never changes a run,
and one that breaks does not end it.
"""
