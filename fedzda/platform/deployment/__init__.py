"""A simulation as a Flower app for a SuperLink and SuperNodes.

``fedzda export app SIM DIR`` (:mod:`~fedzda.platform.deployment.write`) writes a folder whose two
modules call :func:`~fedzda.platform.deployment.server.server_app` and
:func:`~fedzda.platform.deployment.client.client_app`.
"""
