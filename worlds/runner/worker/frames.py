"""The records that server, bridge and host exchange in binary. Standard library only."""

from __future__ import annotations

import struct

ENDED = struct.Struct("<idq")  # how a run ended: wait status, processor seconds, peak memory in KiB
NEXT = b"next"  # the host is done with the run
SETUP_FAILED = 97  # the exit code of a run that could not begin; why is in its dump
HEADER = struct.Struct("<cI")  # of a frame: its kind and its length
