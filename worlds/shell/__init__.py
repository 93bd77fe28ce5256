"""The shell world: bash in a confined copy of a folder, and orders to practise on.

Owns the sandbox (bubblewrap), the view of a folder that the host has, the orders with their folders for practice, the
forms of commands that search begins with, and the reader of InterCode's task files. Imports `habilis.core` alone.
"""

from habilis.worlds.shell._sandbox import Limits, Sandbox
from habilis.worlds.shell.world import ShellWorld

__all__ = ["Limits", "Sandbox", "ShellWorld"]
