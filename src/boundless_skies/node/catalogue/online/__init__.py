"""Comparison stars from catalogues on the network, kept on disk.

:mod:`~boundless_skies.node.catalogue.online.services` and
:mod:`~boundless_skies.node.catalogue.online.vizier` know how each service is asked and how
it answers, :mod:`~boundless_skies.node.catalogue.online.fetching` bounds what an answer
may cost, :mod:`~boundless_skies.node.catalogue.online.cache` keeps it, and
:mod:`~boundless_skies.node.catalogue.online.networked` puts the three together.
"""
