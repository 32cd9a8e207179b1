"""What runs on a host: everything that a deployment does there.

Python 3.8 or newer, standard library only. ``python3 agent COMMAND``: README.md lists the commands.
"""
