"""What runs in the worker process. Standard library only: it is started by path, with none of our packages around it.

``server`` forks once per run, ``bridge`` joins a server in a container to the host's pipes, ``confine`` gives up rights
in order (``landlock``, ``seccomp``), ``language`` is what a program sees and ``actions`` how it acts, ``simulate`` the
fast path's world, ``repeatable`` the random numbers, clock and ids, ``wire`` and ``frames`` what is sent.
"""
