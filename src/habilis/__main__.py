"""``python -m habilis``: the command line, where the script ``habilis`` is not on the path."""

from habilis.cli import main

if __name__ == "__main__":
    main()
