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
deepglobe-fcn-ef73f697d5
deepglobe-unet-106a9464af
deepglobe-transunet-c2b13e0fec
deepglobe-manet-5a76389a77
deepglobe-hrnet-f53326bd9e
deepglobe-unetformer-54d657a64f
deepglobe-segnet-a825363218
deepglobe-sam-adapter-b971006276
deepglobe-rsam-seg-4b60438a5e
deepglobe-sam-lora-fde22e5edb
deepglobe-rs-sam-48659bf386
whu-fcn-a3e087ef77
whu-unet-1fffabeac0
whu-transunet-28c915b0c9
whu-manet-0fbdd4c84f
whu-hrnet-895c958487
whu-unetformer-52729b684f
whu-segnet-628e80ebe0
whu-sam-adapter-fa39a4fe85
whu-rsam-seg-3110e2a7c5
whu-sam-lora-3b75d528a8
whu-rs-sam-11a33d3b3f
whdld-fcn-6c3ee6e32a
whdld-unet-4e20678476
whdld-transunet-41d67ecd02
whdld-manet-f93d968d9f
whdld-hrnet-05b7f28e08
whdld-unetformer-3abe1c70cd
whdld-segnet-3c983d63e7
whdld-sam-adapter-02fe7fc922
whdld-rsam-seg-841ac9c3c9
whdld-sam-lora-1fa1a5efd6
whdld-rs-sam-89765deddc
deepglobe-rs-sam-e51b2a3ae2
deepglobe-rs-sam-4b3e9c8531
deepglobe-rs-sam-899fdd47a1
deepglobe-rs-sam-fd9db4b1d8
deepglobe-sam-lora-962129a216
deepglobe-rs-sam-3d6b30e092
"""

OTHER_SETTINGS = {
    Setting("fair"): "d13259a278df37cb",
    Setting("mini"): "0744770bc2c45f2c",
    Setting("smoke"): "69b77578932706fa",
    Setting("demo"): "f657585678eba694",
    Setting("paper", split="blocked"): "7f820830f52c4268",
    Setting("mini", "vit_t", "scratch"): "4c6a9c92a3aef026",
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
