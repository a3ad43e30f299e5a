"""Ask the paper's numbers every question of the audit, and answer those on runs, text, parameters and citations."""

from __future__ import annotations

from benchmarks.protocol.paper_numbers import CITATIONS, PAPER_TABLES, TEXT_RANGES, TEXT_TILES
from data_prep.datasets.whu import TILES
from reports.audit.averages import accuracy, average, class_means, class_precision, foreground_shares
from reports.audit.findings import AuditFinding, PaperTables, row_name
from reports.formatting import format_range, join_words
from reports.thop_parameters import baseline_parameters, encoder_parameters


def audit(tables: PaperTables = PAPER_TABLES) -> tuple[AuditFinding, ...]:
    """Return every finding, in the order of the questions a reader would ask."""
    return (
        average(tables),
        class_means(tables),
        class_precision(tables),
        accuracy(tables),
        *foreground_shares(tables),
        _same_runs(tables),
        _text(tables),
        _baseline_parameters(tables),
        _rs_sam_parameters(tables),
        _citations(),
        _tiles(),
    )


def _same_runs(tables: PaperTables) -> AuditFinding:
    """Check that RS-SAM and the Baseline on DeepGlobe have the same numbers in all four tables they stand in."""
    same = (
        (("table1", ("RS-SAM",)), ("table5", ("yes", "yes", "yes"))),
        (("table1", ("RS-SAM",)), ("table6", ("last layer",))),
        (("table1", ("RS-SAM",)), ("table7", ("RS-SAM (ViT-B)",))),
        (("table1", ("Baseline",)), ("table5", ("no", "no", "no"))),
        (("table1", ("Baseline",)), ("table7", ("Baseline (ViT-B)",))),
    )
    broken = []
    for (first, first_labels), (second, second_labels) in same:
        left, right = tables[first][first_labels], tables[second][second_labels]
        names = f"{row_name(first, first_labels)} and {row_name(second, second_labels)}"
        broken += [
            f"{names}: {score} {left[score]} and {right[score]}"
            for score in left
            if score in right and left[score] != right[score]
        ]
    return AuditFinding(
        "same-runs",
        "broken" if broken else "holds",
        "One run has the same numbers wherever it stands." if not broken else "One run has different numbers.",
        tuple(broken)
        or ("RS-SAM in Tables 1, 5, 6 and 7, Baseline in Tables 1, 5 and 7: equal in every shared score",),
        "The 55 rows of the seven tables are 39 runs; `reproduce all` trains each once.",
    )


def _text(tables: PaperTables) -> AuditFinding:
    """Compare differences that the text states, in points, with the tables."""
    broken: list[str] = []
    held: list[str] = []
    for where, table, score, systems, low, high in TEXT_RANGES:
        ours = tables[table][("RS-SAM",)][score]
        points = [round(100 * (ours - tables[table][(name,)][score]), 1) for name in systems]
        in_tables = min(points), max(points)
        line = f"{where}: text {_range(low, high)}, Table {table[-1]} {_range(*in_tables)}"
        (held if in_tables == (low, high) else broken).append(line)
    return AuditFinding(
        "text",
        "broken" if broken else "holds",
        f"Of {len(TEXT_RANGES)} differences that the text states, {len(broken)} not as in the tables."
        if broken
        else "Every stated difference follows from the tables.",
        (*broken, *(f"holds: {line}" for line in held)),
        "Where they differ, this suite compares with the tables. The stated per cent are points, not ratios.",
    )


def _baseline_parameters(tables: PaperTables) -> AuditFinding:
    """Count the Baseline's parameters of Table 7 from SAM's dimensions: weights of layers that run, as thop counts."""
    lines, equal = [], True
    for encoder, label in (("vit_b", "Baseline (ViT-B)"), ("vit_l", "Baseline (ViT-L)")):
        counted, printed = baseline_parameters(encoder), tables["table7"][(label,)]["params_m"]
        equal &= round(counted / 1e6, 2) == printed
        lines.append(f"{label}: {counted:,} by that rule, {printed} M printed")
    return AuditFinding(
        "parameters-baseline",
        "recovered" if equal else "broken",
        "Table 7 counts what thop counts: layers that run, LoRA of rank 4 on queries and values, two mask tokens; "
        "no positional parameters, embeddings or two-dimensional layer norms."
        if equal
        else "Table 7's Baseline does not follow from SAM's dimensions by thop's rule.",
        tuple(lines),
        "These are neither all parameters (91.21 M and 309.28 M) nor the trained ones (3.79 M and 4.04 M).",
    )


def _rs_sam_parameters(tables: PaperTables) -> AuditFinding:
    """Compare the distance between RS-SAM's two rows with the distance between their encoders."""
    small, large = (tables["table7"][(f"RS-SAM (ViT-{size})",)]["params_m"] for size in "BL")
    encoders = (encoder_parameters("vit_l") - encoder_parameters("vit_b")) / 1e6
    possible = large - small + 0.055 >= encoders  # 107.4 has one decimal, 324.13 two
    return AuditFinding(
        "parameters-rs-sam",
        "holds" if possible else "broken",
        "RS-SAM's two rows can be one design counted one way."
        if possible
        else "RS-SAM's two rows cannot be one design counted one way.",
        (
            f"printed: {large} - {small} = {large - small:.2f} M (give or take 0.055 M)",
            f"the bare encoders with LoRA are {encoders:.2f} M apart, and every part on top of them only adds",
        ),
        "Parameter counts do not identify the design; our plan is 0.4 % below one and 0.9 % above the other.",
    )


def _citations() -> AuditFinding:
    """Find reference numbers that stand for two systems."""
    shared: dict[str, list[str]] = {}
    for system, number in CITATIONS.items():
        if number is not None:
            shared.setdefault(number, []).append(system.split(" (ViT")[0])
    double = {number: list(dict.fromkeys(names)) for number, names in shared.items() if len(set(names)) > 1}
    return AuditFinding(
        "citations",
        "broken" if double else "holds",
        "One reference is cited for different systems." if double else "Every system has a reference of its own.",
        tuple(f"{number} is cited for {join_words(names)}" for number, names in double.items()),
        "[20] is U-Net; for SAM Adapter this suite follows the paper of that name.",
    )


def _tiles() -> AuditFinding:
    """Compare the official lists of the aerial imagery with the text."""
    total = sum(TILES.values())
    lists = " + ".join(f"{count:,} {split}" for split, count in TILES.items())
    return AuditFinding(
        "tiles",
        "holds" if total == TEXT_TILES else "broken",
        f"The text counts {TEXT_TILES:,} tiles of aerial imagery, the published split has {total:,}.",
        (f"{lists} = {total:,}",),
        "The published split is used as it is.",
    )


def _range(low: float, high: float) -> str:
    return format_range(f"{low:.1f}", f"{high:.1f}")
