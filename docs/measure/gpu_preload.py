"""Import once what most steps of gpu.py need, so that each of their processes begins with it."""

from contextlib import suppress
from importlib import import_module

for name in ("torch", "benchmarks.fabric", "gpu_steps", "gpu_trainings"):
    with suppress(Exception):  # the step that needs it imports it again, fails, and says why
        import_module(name)
