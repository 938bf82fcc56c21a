"""What ``fedzda new-plugin`` writes: text files with ``{{name}}`` and ``{{package}}`` in them."""
