"""``fedzda dashboard``: a local web application that reads run folders.

Read in this order: ``app.py`` (routes), ``index.py`` (which runs there are), ``pages/`` (one page
per file), ``live.py`` (what changes while a page is open), ``access.py`` and ``guard.py`` (who may
see what). Charts and the style sheet are those of the report.
"""
