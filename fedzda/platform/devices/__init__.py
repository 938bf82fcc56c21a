"""Devices that differ: profiles, availability, and the virtual clock that runs by them.

Read :mod:`fedzda.platform.devices.config`, then :mod:`fedzda.platform.devices.fleet` (who has which
device) and :mod:`fedzda.platform.devices.clock` (what happens when).
"""
