"""Records of speed with known times; nothing is timed."""

from benchmarks.protocol.run import plain_fields
from benchmarks.speed.timing import save_record

CARD = "NVIDIA RTX A6000"


def put(home, model, latency=0.02, step=0.6, *, day="2025-02-03", torch="2.11.0", device=CARD, threads=8, **changes):
    """A record in the form of `measure_system`, on images of 512 pixels unless `changes` say otherwise.

    `latency` and `step` are medians in seconds.
    """
    conditions = {
        "device": "cuda" if device == CARD else "cpu", "precision": "bf16-mixed", "batch": 8, "group": 6, "rounds": 7,
        "compiled": False,
    }  # fmt: skip
    conditions |= {name: changes.pop(name) for name in conditions.keys() & changes.keys()}
    system = {"name": model.name, "title": model.title, "version": model.version, "options": plain_fields(model)}

    def spread(value):
        return {"median": value, "low": 0.9 * value, "high": 1.1 * value, "rounds": [value] * 7}

    record = {
        "schema": 1, "system": system, "classes": ["road"], "gmacs": 100.0, "image_size": [512, 512],
        "parameters": {"total": 30_000_000, "trainable": 30_000_000, "as_published": 30_000_000},
        "conditions": conditions, "way": "auto", "latency_seconds": spread(latency), "images_per_second": spread(90.0),
        "step_seconds": spread(step), "trained_images_per_second": spread(10.0),
        "peak_memory": {"latency": 1, "throughput": 1, "step": 1 << 30}, "product_rate": 1e14, "achieved_rate": 1e13,
        "share_of_product_rate": 0.1, "waiting_for_images": None, "device": device,
        "provenance": {"versions": {"torch": torch}, "threads": threads, "finished": f"{day}T04:05:06+00:00"},
    }  # fmt: skip
    return save_record(home, record | changes)
