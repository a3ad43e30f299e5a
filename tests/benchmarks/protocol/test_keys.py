"""The keys of the paper's 39 runs as literals: whoever changes one by accident orphans every finished run.

A key may change on purpose, with a version, a field that is not `added()`, or PROTOCOL. Then renew the literals here:
`python -m tests.benchmarks.protocol.test_keys` prints them.
"""

import hashlib

import pytest

from benchmarks.protocol.paper_runs import PAPER_RUNS
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.setting import Setting
from data_prep.manifest import Entry, Manifest
from data_prep.rules import as_rules

KEYS = """
deepglobe-fcn-d3ef4a3f1c
deepglobe-unet-4ab545c3c4
deepglobe-transunet-b39dd85301
deepglobe-manet-caf08a5a16
deepglobe-hrnet-16c8dc1765
deepglobe-unetformer-540a015783
deepglobe-segnet-ecc4703810
deepglobe-sam-adapter-3c2f9aaf49
deepglobe-rsam-seg-e1061b0abf
deepglobe-sam-lora-ec44c9769b
deepglobe-rs-sam-93be6c12b2
whu-fcn-b72455bf28
whu-unet-0788e24220
whu-transunet-4bbe8cb165
whu-manet-fdfea19b37
whu-hrnet-710f126205
whu-unetformer-6ef5fa61dc
whu-segnet-11732d4de6
whu-sam-adapter-9ac9bfe52d
whu-rsam-seg-4f3c1b951c
whu-sam-lora-6e1686ee5f
whu-rs-sam-472b836667
whdld-fcn-8507a40ceb
whdld-unet-364279ab31
whdld-transunet-3fddc7fe63
whdld-manet-fc6b26459c
whdld-hrnet-187d70116c
whdld-unetformer-3b38a8a4be
whdld-segnet-085768929d
whdld-sam-adapter-c71f740f48
whdld-rsam-seg-2107445df2
whdld-sam-lora-10daf338a8
whdld-rs-sam-c38558beab
deepglobe-rs-sam-c6fccdfc5b
deepglobe-rs-sam-e1cbfda8db
deepglobe-rs-sam-929643cd7d
deepglobe-rs-sam-46eb3500ea
deepglobe-sam-lora-0de77284b4
deepglobe-rs-sam-dd319489cc
"""

OTHER_SETTINGS = {
    Setting("fair"): "8d42c772f627f58b",
    Setting("mini"): "4b8140f896b9ada3",
    Setting("smoke"): "76172750d34323ce",
    Setting("paper", split="blocked"): "260fefaf41aa5b33",
    Setting("mini", "vit_t", "scratch"): "8cdb2d55afd482f0",
}


def manifest(dataset: str) -> Manifest:
    """Twenty pairs that lie nowhere, one of them a copy of another; WHU's in its published split."""
    parts = {"train": range(14), "val": range(14, 17), "test": range(17, 20)}
    entries = tuple(
        Entry(
            stem=f"s{number:02}", split=split, image="", mask="", native_mask=None,
            image_sha256="", mask_sha256="", native_mask_sha256=None,
            source_image_sha256=f"image {number}", source_mask_sha256=f"mask {number}", source_size=(64, 64),
            size=(64, 64), foreground=0.1, group=f"s{min(number, 18):02}", scene=f"c{number // 3}",
        )
        for split, numbers in parts.items()
        for number in numbers
    )  # fmt: skip
    return Manifest(
        dataset=dataset, version=1, classes=(), image_size=(64, 64), origin="source", expected_pairs=None,
        without_mask=0, rules=as_rules({"image": "as it is", "mask": "as it is", "split": "drawn"}),
        official_split=dataset == "whu", entries=entries,
    )  # fmt: skip


def keys(setting: Setting) -> list[str]:
    found = []
    for paper in PAPER_RUNS:
        run = setting.run(paper.model, paper.dataset)
        digests = tuple(f"sha256 of {name}" for name in run.model.weights_needed())
        found.append(ResolvedRun(run, manifest(paper.dataset).digest(0, run.split_rule), digests, "bf16-mixed").key)
    return found


def test_the_keys_of_the_papers_runs():
    assert keys(Setting("paper")) == KEYS.split()


def digest_of(setting: Setting) -> str:
    """All 39 in one digest: it tells that a key has changed, and the literals above which field."""
    return hashlib.sha256("\n".join(keys(setting)).encode()).hexdigest()[:16]


@pytest.mark.parametrize("setting", OTHER_SETTINGS, ids=str)
def test_the_keys_under_other_settings(setting):
    assert digest_of(setting) == OTHER_SETTINGS[setting]


def test_every_profile_is_held():
    assert {"paper", *(setting.profile for setting in OTHER_SETTINGS)} == set(PROFILES)


if __name__ == "__main__":
    print(*keys(Setting("paper")), "", sep="\n")
    print(*(f"{setting}: {digest_of(setting)}" for setting in OTHER_SETTINGS), sep="\n")
