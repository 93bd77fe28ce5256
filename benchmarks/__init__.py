"""What Habilis is measured by: ``python -m benchmarks`` lists them, ``python -m benchmarks.NAME`` runs one."""

__all__: list[str] = []
