"""The life of a model: several simulations and commands, one after the other, in one folder.

A stage is an ordinary simulation or a command, and takes files of stages before it. Nothing here
knows a method: ``config.py`` is the file, ``load.py`` reads it, ``stages.py`` checks and runs one
stage, ``runner.py`` all of them.
"""
