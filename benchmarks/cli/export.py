"""Write a finished run by the command `export`: as an adapter with a model card, or as ONNX.

Heavy imports stand inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.cli.options import (
    A_RUN,
    Json,
    OwnModel,
    finished_run,
    note,
    print_json,
    root,
    run_option,
    screen,
    warnings,
)
from benchmarks.results.home import Home


def export(
    run: Annotated[str, run_option(f"The {A_RUN}.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.safetensors", help="Trained parameters and a model card beside them.")
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option(metavar="FILE.onnx", help="The whole network, base weights included.")
    ] = None,
    model: OwnModel = None,
    as_json: Json = False,
) -> None:
    """Write a finished run to pass on: what was trained with a model card (--out), the network as ONNX (--onnx)."""
    if out is None and onnx is None:
        raise typer.BadParameter("say what to write: --out FILE.safetensors, --onnx FILE.onnx, or both")
    for path, suffix in ((out, ".safetensors"), (onnx, ".onnx")):
        if path is not None and path.suffix != suffix:
            raise typer.BadParameter(f"expected a name that ends in {suffix}, found {path}")
        if path is not None:
            Home(root.home).require_outside(path)
    if onnx is not None:
        from benchmarks.export.onnx import require_onnx

        require_onnx()
    from benchmarks.export.load_run import load_run
    from benchmarks.protocol.custom import find_model
    from benchmarks.results.store import Store, read_result

    run = finished_run(run)
    trained = load_run(root.home, run, None if model is None else find_model(model))
    note(trained.warning)
    written: dict[str, Any] = {"key": run}
    if out is not None:
        from reports.model_card import write_with_card

        metadata, card = write_with_card(out, trained, read_result(Store(root.home).path(run)))
        base = {name: checkpoint["sha256"] for name, checkpoint in metadata["base"].items()}
        written |= {"adapter": str(out), "card": str(card), "bytes": out.stat().st_size, "base": base}
        if not as_json:
            base_text = f", on top of {', '.join(base)}" if base else ", the whole network"
            screen.print(f"wrote {out} ({out.stat().st_size / 1e6:.1f} MB{base_text}) and {card}")
    if onnx is not None:
        from benchmarks.export.onnx import export_onnx

        if not as_json:
            warnings.print("writing ONNX, which takes minutes for a large network ...")
        difference = export_onnx(trained, onnx)
        written |= {"onnx": str(onnx), "largest_difference": difference}
        if not as_json:
            agreement = f"its logits are the network's to {difference:.1g} in onnxruntime"
            screen.print(f"wrote {onnx} ({onnx.stat().st_size / 1e6:.1f} MB); {agreement}")
    if as_json:
        print_json(written)
