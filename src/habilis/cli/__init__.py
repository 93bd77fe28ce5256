"""The command line. Each command's module is imported when its group is used; nothing heavy loads for ``--help``."""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command line; an error of ours is one clear message and exit status 1."""
    try:
        from habilis._interrupts import command_line
        from habilis.cli._app import app
        from habilis.cli._output import fail, plain_warnings
        from habilis.core import HabilisError
    except KeyboardInterrupt:
        _interrupted()
    try:
        _check_text(sys.argv[1:])
        with command_line(), plain_warnings():
            app()
        sys.stdout.flush()
    except SystemExit as ended:  # typer turns Ctrl-C into a quiet exit
        if ended.code == _INTERRUPTED:
            _interrupted()
        raise
    except HabilisError as error:
        fail(error)
        sys.exit(1)
    except KeyboardInterrupt:
        _interrupted()
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        print(f"error: {error}; what was learned is kept", file=sys.stderr)
        sys.exit(1)


def _check_text(arguments: list[str]) -> None:
    """What is typed goes into journals, indexes and models, which hold text. Raises `InputError`."""
    from habilis.core import InputError

    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InputError(f"the argument {argument!r} is no UTF-8 text; type it anew") from None


def _interrupted() -> NoReturn:
    print("\nstopped; run the same command again to continue", file=sys.stderr)
    sys.exit(_INTERRUPTED)
