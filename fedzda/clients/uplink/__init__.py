"""Compression of what clients send: the update is encoded on the client and decoded at the server.

Read :mod:`fedzda.clients.uplink.update`, which both ends go through.
"""
