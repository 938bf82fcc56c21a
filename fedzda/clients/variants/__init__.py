"""Forms of the global model that devices can afford: what each trains, and what is tested on it.

Read :mod:`fedzda.clients.variants.width` first, and :class:`fedzda.base.Variant`.
"""
