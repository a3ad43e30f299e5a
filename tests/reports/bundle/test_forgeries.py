"""A forged bundle that agrees with itself in digests, keys and tables is found by what two of its records say.

Of each `verify` said "no problem found", but of two: "8 train images, its split has 10" of a recipe of more images, and
"a part is missing or malformed" of an own name for a system of the suite.
"""

import copy
import json
import re
import shutil
import zipfile

import pytest

from baselines.fcn import Fcn
from benchmarks.divergence import DivergedRate
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.targets import WITH_TABLES
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.home import Home
from benchmarks.results.test_set_log import read_ledger
from data_prep.registry import register_home
from reports.bundle import verify
from reports.bundle.publish import publish
from reports.bundle.verify import check
from tests.reports.bundle.forged import Forger, seal
from tests.reports.bundle.genuine import make_home, now

FACTS = {
    "origin": "synthetic", "complete": False, "pairs": 14, "sources": 14, "expected": 6226, "cut_anew": False,
    "skipped": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """A genuine bundle, unpacked."""
    root = tmp_path_factory.mktemp("genuine")
    (root / "home").mkdir()
    publish(["table1", "table3"], root / "bundle.zip", make_home(root / "home"))
    with zipfile.ZipFile(root / "bundle.zip") as archive:
        archive.extractall(root / "bundle")
    yield root / "bundle"
    register_home(Home(root).data)  # forget the data set of the user's own


@pytest.fixture
def forger(genuine, tmp_path):
    shutil.copytree(genuine, tmp_path / "bundle")
    register_home(tmp_path / "bundle" / "data")
    return Forger(tmp_path / "bundle")


def problems(forger):
    forger.write()
    return check(forger.folder).problems


def test_a_genuine_bundle_has_no_problem(forger):
    assert problems(forger) == []


def invented_failure(bundle, part=(), diverged=((3e-4, 1),), when="2025-02-03T04:05:06+00:00", **parts):
    """A competitor's row without a result, on the data of the first."""
    first, run = bundle.result(), Setting("smoke").run(Fcn(), "deepglobe", 0, 0)
    identity = {**first["identity"], **run.declared(), **dict(part)}
    lost = tuple(DivergedRate(*rate, "training") for rate in diverged)
    failed = FailedRun(identity, "", when, lost, {}, {}).to_json() | parts
    path = bundle.folder / "runs" / failed["key"] / "failure.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(failed))


def test_a_run_that_diverged_has_no_problem(forger):
    invented_failure(forger)
    assert problems(forger) == []


def test_a_bundle_of_many_faults_lists_the_first(forger):
    """A ledger of 200,000 false lines gave as many problems, and took 24 seconds."""
    ledger = forger.folder / "ledger.jsonl"
    whole = ledger.read_text()
    ledger.write_text(whole + "{}\n" * 1000)
    seal(forger.folder)
    found = check(forger.folder).problems
    assert found == [*(line for line in found if "cannot be read" in line), "and 1 more"]
    assert len(found) == 201
    first = len(whole.splitlines()) + 201
    assert f"from {first} on were not read" in read_ledger(forger.folder, most_damaged=200).damaged[-1]
    ghost = json.dumps({**forger.uses[-1], "key": "ghost"})
    ledger.write_text(whole + f"{ghost}\n" * 1000)
    seal(forger.folder)
    assert sum("has the key 'ghost'" in line for line in check(forger.folder).problems) == 200


@pytest.mark.parametrize("name", ["results/x.json", "results/more", "pictures", "data/a/b"])
def test_a_folder_that_no_bundle_has_is_a_problem(forger, name):
    """No word of it was said."""
    (forger.folder / name).mkdir(parents=True)
    assert f"{name}: no bundle has such a folder" in check(forger.folder).problems


def perfect(counts):
    for index, (fp, fn) in enumerate(zip(counts["fp"], counts["fn"], strict=True)):
        counts["tp"][index] = [tp + missed for tp, missed in zip(counts["tp"][index], fn, strict=True)]
        counts["tn"][index] = [tn + false for tn, false in zip(counts["tn"][index], fp, strict=True)]
        counts["fp"][index], counts["fn"][index] = [0] * len(fp), [0] * len(fn)


def perfect_counts(bundle, **which):
    raw = bundle.result(**which)
    perfect(raw["counts"])


def perfect_with_a_histogram_to_match(bundle):
    raw = bundle.result(dataset="whdld")
    perfect(raw["counts"])
    for channel, name in enumerate(("tp", "fp")):
        assert raw["counts"][name][channel]
    for channel in raw["probabilities"]["counts"]:
        true, false = (sum(cell[state] for cell in channel) for state in (1, 0))
        channel[:] = [[0, 0] for _ in channel]
        channel[-1][1], channel[-1][0] = true, 0
        channel[-2][0] = false  # all false with high probability, so that only their sum tells


def shift_histogram(bundle):
    cells = bundle.result()["probabilities"]["counts"][0]
    cells[0][0] += 7


def complete(bundle):
    for raw in bundle.results:
        raw["data"] |= {"complete": True, "pairs": 6226}


def of_deepglobe(bundle, edit):
    for split in bundle.splits:
        if split["dataset"] == "deepglobe":
            edit(split)


def train_image_in_test(split):
    images = {image["stem"]: image for image in split["images"]}
    images[split["test"][0]]["source_image_sha256"] = images[split["train"][0]]["source_image_sha256"]


def of_another_seed(bundle):
    """The result of seed 1 is said to be of split seed 2, of which there is a split."""
    bundle.result(seed=1)["identity"]["split_seed"] = 7


def copied(bundle, *, seeds=3, edit=lambda raw, seed: None, system="unet"):
    """One training under further seeds, on the same split."""
    raw = bundle.result(system=system)
    for seed in range(3, 3 + seeds):
        other = copy.deepcopy(raw)
        other["identity"]["seed"], other["key"] = seed, f"copy {seed}"
        edit(other, seed)
        bundle.results.append(other)
        use = next(use for use in bundle.uses if use["key"] == raw["key"])
        bundle.uses.append({**use, "key": other["key"]})


def other_losses(raw, seed):
    for epoch in raw["history"]:
        epoch["train_loss"] += 0.01 * seed
        epoch["val_loss"] += 0.01 * seed


def other_losses_and_times(raw, seed):
    other_losses(raw, seed)
    raw["seconds"] += seed
    raw["history"][0]["seconds"] += 0.1 * seed


def other_by_little(raw, seed):
    other_losses_and_times(raw, seed)
    raw["counts"]["fp"][0][0] += seed
    raw["counts"]["tn"][0][0] -= seed
    raw.pop("probabilities")


def perfect_native_counts(bundle):
    perfect(bundle.result()["native_counts"])


def scored_twice(bundle):
    other = copy.deepcopy(bundle.score())
    other["identity"]["name"], other["key"] = "Somebody else's", "copy"
    other["counts"]["fp"][0][0] += 1
    other["counts"]["tn"][0][0] -= 1
    bundle.scores.append(other)
    use = next(use for use in bundle.uses if use["purpose"] == "score")
    bundle.uses.append({**use, "key": "copy", "system": "Somebody else's"})


def scored_finer(bundle):
    counts = bundle.score()["native_counts"]
    for index in range(len(counts["fp"])):
        counts["tn"][index] = [counts["tn"][index][0] + counts["fp"][index][0]]
        counts["fp"][index] = [0]


def copied_to_another_system(bundle):
    raw = bundle.result()
    for name in ("counts", "native_counts", "history", "probabilities"):
        bundle.result(system="mynet")[name] = copy.deepcopy(raw[name])
    bundle.result(system="mynet")["seconds"] = raw["seconds"]


def near_copy_of_another_system(bundle, without=None):
    copied_to_another_system(bundle)
    raw = bundle.result(system="mynet")
    raw["seconds"] += 1
    for epoch in raw["history"]:
        epoch["train_loss"] += 2e-6
        epoch["seconds"] += 0.5
    if without:
        raw.pop(without)


def another_network(bundle):
    other = copy.deepcopy(bundle.score("evaluated"))
    other["identity"]["system"]["parameters"] = "12" * 32
    bundle.scores.append(other)


def ghost(key):
    """A use of a run that there never was."""
    return lambda bundle: bundle.uses.append({**bundle.uses[0], "key": key, "system": "unet", "time": now()})


def failure(part=(), **parts):
    return lambda bundle: invented_failure(bundle, part, **parts)


def in_result(edit, **which):
    return lambda bundle: edit(bundle.result(**which))


def identity(**parts):
    return in_result(lambda raw: raw["identity"].update(parts))


def recipe(name="smoke", **parts):
    return in_result(lambda raw: raw["identity"]["recipe"].update(parts), recipe=name)


def top(**parts):
    return in_result(lambda raw: raw.update(parts))


def parameter(**parts):
    return in_result(lambda raw: raw["parameters"].update(parts))


def provenance(**parts):
    return in_result(lambda raw: raw["provenance"].update(parts))


def epoch(**parts):
    return in_result(lambda raw: raw["history"][0].update(parts))


def own(**parts):
    return in_result(lambda raw: raw["provenance"]["system"].update(parts), system="mynet")


def deepglobe(edit):
    return lambda bundle: of_deepglobe(bundle, edit)


def image(**parts):
    return deepglobe(lambda split: split["images"][0].update(parts))


def system(**parts):
    return lambda bundle: bundle.score("evaluated")["identity"]["system"].update(parts)


def without_use(bundle):
    bundle.uses.pop(0)


def without_ledger(bundle):
    bundle.uses = None
    (bundle.folder / "ledger.jsonl").unlink()


def hidden_use(bundle):
    bundle.about["unlogged"] = [bundle.uses.pop(0)["key"], "deepglobe-unet-0123456789"]


def one_split_of_other_images(bundle):
    split = bundle.split_of(bundle.result(seed=1))
    split["images"][0]["source_mask_sha256"] = "ab" * 32


def second_network(bundle):
    other = copy.deepcopy(bundle.score("evaluated"))
    other["identity"]["system"]["key"] = bundle.result(seed=1)["key"]
    other["key"] = "copy"
    bundle.scores.append(other)
    use = next(use for use in bundle.uses if use["purpose"] == "evaluate")
    bundle.uses.append({**use, "key": "copy"})


def seen_images(bundle):
    tested = bundle.split_of(bundle.score("evaluated"))
    digest = next(image for image in tested["images"] if image["stem"] == tested["test"][0])["source_image_sha256"]
    of_deepglobe(bundle, lambda split: split["images"][0].update(source_image_sha256=digest))


FORGERIES = {
    # counts and probabilities
    "perfect counts": (perfect_counts, r"probabilities of road give \d+ true positives, its counts have"),
    "perfect counts of classes": (
        lambda bundle: perfect_counts(bundle, dataset="whdld"),
        r"probabilities of \w+.* give \d+ to \d+ true positives",
    ),
    "perfect counts and probabilities": (perfect_with_a_histogram_to_match, "add up to .* pixels over the classes"),
    "more pixels of probabilities": (shift_histogram, r"probabilities of road are of 8199 pixels"),
    "probabilities of two channels": (
        in_result(lambda raw: raw["probabilities"]["counts"].append(raw["probabilities"]["counts"][0])),
        "of 2 channels, its counts of 1 classes",
    ),
    "other thresholds": (
        in_result(lambda raw: raw["probabilities"].update(edges=[edge / 2 for edge in raw["probabilities"]["edges"]])),
        "its probabilities go from 0 to 0.5",
    ),
    "perfect at native resolution": (perfect_native_counts, "0.00% of the pixels are wrong at native resolution, and"),
    "a finer score": (scored_finer, r"\d+ pixels of fp, and 0 of the same at native resolution"),
    "two scores of one prediction": (scored_twice, "its predictions are those of scores/.*, and its counts are others"),
    # data and splits
    "complete": (complete, "it says of its data complete = True, its split gives False"),
    "other pairs": (in_result(lambda raw: raw["data"].update(pairs=200)), "it says of its data pairs = 200"),
    "a partial score": (
        lambda bundle: bundle.score()["data"].update(complete=True), "it says of its data complete = True",
    ),
    "tiles of one image are images": (
        in_result(lambda raw: raw["data"].update(sources=raw["data"]["pairs"]), system="mynet", dataset="fields"),
        "it says of its data sources = ",
    ),
    "no word of neighbours": (
        in_result(lambda raw: raw["data"].pop("train_neighbours"), dataset="whdld"), "train_neighbours = None",
    ),
    "a title of predictions made elsewhere": (
        lambda bundle: bundle.score()["data"].update(title="RS-SAM"), "of its data title, which its split does not",
    ),
    "scenes are taken apart": (
        in_result(lambda raw: raw["data"].pop("test_scenes"), dataset="whdld"),
        "it says of its data test_scenes = None",
    ),
    "neighbours of the training images": (
        in_result(lambda raw: raw["data"].update(train_neighbours=["0001"]), dataset="whdld"), "train_neighbours = ",
    ),
    "a split calls itself the source": (
        deepglobe(lambda split: split.update(origin="source")), "it says of its data origin = 'synthetic'",
    ),
    "a split calls itself official": (
        deepglobe(lambda split: split.update(official_split=True)), "official, and deepglobe has no official split",
    ),
    "own data calls itself synthetic": (
        lambda bundle: bundle.split_of(bundle.result(system="mynet", dataset="fields")).update(origin="synthetic"),
        "it calls itself synthetic, and there are no stand-ins for fields",
    ),
    "a split of other classes": (deepglobe(lambda split: split.update(classes=["roof"])), "its data set deepglobe has"),
    "a split of another version": (deepglobe(lambda split: split.update(version=3)), "its data set deepglobe has"),
    "a train image in the test": (deepglobe(train_image_in_test), r"identical content.*\(train\).* have one digest"),
    "a split of another seed": (of_another_seed, "it names split seed 7 .*, which gives another split"),
    "a split by scenes": (identity(split_rule="blocked"), r"split seed 0 \(blocked\), which gives another split"),
    "splits of different images": (one_split_of_other_images, "it says other things of the images of deepglobe"),
    "a rule of another size": (
        lambda bundle: bundle.split_of(bundle.result(dataset="whdld"))["rules"]["split"][0]["values"].update(
            counts=[1, 1, 12]
        ),
        "it says '.* seed 0 gives 1/1/12', its images give '.* seed 0 gives 10/2/2'",
    ),
    "a rule of no name": (
        deepglobe(lambda split: split["rules"].update(split=[{"code": "by-hand", "values": {}}])),
        "it says 'by-hand', its images give",
    ),
    "images of another size": (image(size=[32, 128]), r"has \(32, 128\) of"),
    "pixels without a label": (image(labelled=1 - 1e-9), "the share 1 is labelled, expected 1"),
    "a digest that is none": (image(source_image_sha256="train"), "has digests that are no SHA-256"),
    # one training under many names
    "forty-four seeds": (lambda bundle: copied(bundle, seeds=44), "its losses are those of"),
    "copies with other losses": (lambda bundle: copied(bundle, edit=other_losses), "its seconds are those of"),
    "copies with other losses and times": (
        lambda bundle: copied(bundle, edit=other_losses_and_times), "its counts are those of",
    ),
    "copies with a few other pixels": (
        lambda bundle: copied(bundle, edit=other_by_little), r"\d of its \d+ wrong pixels are not those of",
    ),
    "a table twice": (lambda bundle: bundle.about.update(tables=["table1", "table3", "table1"]), "names a table twice"),
    "a copy as another system with other losses": (
        near_copy_of_another_system, "its counts and probabilities are those of",
    ),
    "a copy as another system without probabilities": (
        lambda bundle: near_copy_of_another_system(bundle, without="probabilities"),
        "its counts at both resolutions are those of",
    ),
    "a copy as another system": (copied_to_another_system, "its losses and counts are those of"),
    "one network of two runs": (second_network, "its network is that of scores/"),
    # the run
    "fair with other rates": (recipe("fair", rates=[1.0]), r"its recipe fair has rates \[1.0\], expected \[0.0003"),
    "fair with another decay": (recipe("fair", weight_decay=0), "its recipe fair has weight_decay 0, expected"),
    "smoke on more images": (recipe(limit=14), "its recipe smoke has limit 14, expected 8"),
    "a recipe of more fields": (recipe(momentum=0.9), "its recipe smoke has momentum 0.9, expected None"),
    "another precision": (identity(precision="64-true"), "identity.precision: .*, found '64-true'"),
    "float16 that counts no overflows": (identity(precision="16-mixed"), "unlike its precision 16-mixed"),
    "an unknown device": (provenance(device_type="tpu"), "its device is of the type 'tpu'"),
    "a negative seed": (identity(seed=-1), "identity.seed: expected a whole number from 0 to 4294967295, found -1"),
    "half a seed": (identity(seed=0.5), "identity.seed: expected a whole number .*, found 0.5"),
    "a seed of true": (identity(seed=True), "identity.seed: expected a whole number .*, found True"),
    "a split seed that is none": (identity(split_seed=-3), "identity.split_seed: expected a whole number .*, found -3"),
    "fewer parameters": (parameter(total=5000, trainable=5000, as_published=5000), "5000 for total, unet as declared"),
    "no parameters": (parameter(total=0), "parameters or operations .total. is 0"),
    "negative operations": (parameter(macs=-1), "parameters.macs: expected a whole number .*, found -1"),
    "half a parameter": (parameter(trainable=1.5), "parameters.trainable: expected a whole number .*, found 1.5"),
    "own system with other parameters": (
        in_result(lambda raw: raw["parameters"].update(total=7), system="mynet"), "for total, and",
    ),
    "more trainable than there are": (
        in_result(lambda raw: raw["parameters"].update(trainable=10**9), system="mynet"), "more than all its",
    ),
    "fewer operations": (parameter(macs=1000), "1000 for macs, unet as declared has"),
    "less memory than parameters": (top(peak_memory=4096), "its peak memory of 4096 bytes is less than"),
    "a version to come": (
        provenance(versions={"rssam-bench": "99.1"}), "made with rssam-bench 99.1, the bundle with the earlier",
    ),
    "no time": (top(seconds=0), "it took 0 seconds"),
    "time before it began": (top(seconds=-5.0), "seconds: expected a number from 0, found -5.0"),
    "ages": (top(seconds=1e12), "it took 1000000000000.0 seconds"),
    "infinite time": (top(seconds=float("inf")), "seconds: expected a number from 0, found inf"),
    "less time than its epochs": (top(seconds=0.5), "its epochs took .* seconds, the whole run 0.5"),
    "no memory": (top(peak_memory=0), "its peak memory is 0"),
    "NaN in the history": (epoch(train_loss=float("nan")), "epoch 1 has train_loss = nan|history.0.train_loss is no"),
    "an infinite loss": (epoch(val_loss=float("inf")), "history.val_loss: expected a number, found inf"),
    "a negative loss": (epoch(train_loss=-0.5), "epoch 1 has train_loss = -0.5"),
    "a best loss of no epoch": (top(best_loss=0.0), "its best loss is 0, the lowest of its history"),  # 0 problems
    "a rate of no recipe": (top(best_rate=5.0), "it chose the rate 5, which is none of its recipe"),  # 0 problems
    "an epoch of no time": (epoch(seconds=0.0), "an epoch took 0 to 0 seconds"),
    "another learning rate": (epoch(rate=0.01), r"its learning rates begin with \[0.01\], expected"),
    "options of another system": (
        in_result(lambda raw: raw["identity"]["model"]["options"].update(encoder="vit_b")),
        "its options .* are not those of unet",
    ),
    "options of no table": (
        in_result(lambda raw: raw["identity"]["model"]["options"].update(width=1)), "it stands in no table",
    ),
    "a checkpoint too many": (identity(weights=["ab" * 32]), "digests of 1 checkpoints, unet with its options needs 0"),
    "an own name for a system of the suite": (
        in_result(lambda raw: raw["provenance"].update(system={})), "provenance.system.title is missing",
    ),
    "a title of two lines": (own(title="MyNet\n| x |"), "provenance.system.title: expected one printable line"),
    "published with nonsense": (
        own(published={"optimizer": "lion", "weight_decay": 1}), "published.optimizer: .*, found .lion.",
    ),
    "a day to come": (provenance(finished="2999-01-01T00:00:00+00:00"), "expected a time that has been"),
    "no day": (provenance(finished="yesterday"), "it was finished 'yesterday'"),
    "no commit": (provenance(commit="the best one"), "its commit 'the best one' is no commit"),
    "a day before the suite": (provenance(finished="2019-01-01T00:00:00+00:00"), "'2019.*expected a time that has"),
    "threads without cores": (provenance(threads=4000), "its 4000 threads on 4 cores are more than 32 for each"),
    "devices that share no group": (provenance(devices=7), "its 7 devices cannot share the"),
    "more memory than there is": (top(peak_memory=1 << 46), "its peak memory is 70368744177664, expected"),
    "a loss beyond belief": (epoch(train_loss=1e8), r"epoch 1 has a loss of 1e\+08"),
    "the rate that diverged": (
        in_result(
            lambda raw: raw.update(
                diverged=[{"rate": raw["identity"]["recipe"]["rates"][-1], "epoch": 1, "phase": "training"}]
            ),
            recipe="fair",
        ),
        "its learning rates are those of .*, which is said to have diverged",
    ),
    "no cores": (provenance(cores=0), "its cores are 0"),
    # scores
    "trained on what it is tested on": (system(dataset="fields"), "on fields, the data set it was evaluated on"),
    "a run of other data": (system(dataset="whu"), "its system was trained on whu, results/"),
    "another title": (
        lambda bundle: bundle.score("evaluated")["data"].update(title="RS-SAM"),
        "its system is called 'RS-SAM', that of results/.* 'UNet'",
    ),
    "images of the training data": (seen_images, "0 of its images are said to be in the training data, 2 are"),
    "own images of another size": (
        lambda bundle: bundle.split_of(bundle.result(system="mynet", dataset="fields")).update(image_size=[32, 128]),
        r"its images have \(32, 128\) pixels, those of fields \(128, 128\)",
    ),
    "two networks of one run": (another_network, "its network is another than that of scores/"),
    "squares of another size": (system(crop=32), "it predicts squares of 32 pixels, the network of its run takes"),
    "no precision": (
        lambda bundle: bundle.score("evaluated")["identity"]["system"].pop("precision"),
        "not say of its system: precision",
    ),
    "the name of a system of the suite": (
        lambda bundle: bundle.score()["identity"].update(name="RS-SAM"), "called RS-SAM, as a system of this suite",
    ),
    "no digest of a network": (system(parameters="1"), "the digest of its network is no SHA-256"),
    "classes it does not have": (system(classes=[["roof", "field"]]), "its system has the classes roof"),
    "scored without predictions": (
        lambda bundle: bundle.score()["identity"].update(predictions=None), "it is scored: expected predictions",
    ),
    "more copies than images": (lambda bundle: bundle.score("evaluated")["data"].update(copies=99), "99 of its 2"),
    # what the tables show, and the ledger
    "results in no table": (lambda bundle: bundle.about.update(tables=["table3"]), "it stands in no table of the"),
    "a use taken out": (without_use, "the ledger has no use of it"),
    "no ledger": (without_ledger, "ledger.jsonl: missing: every bundle holds the uses"),
    "no word of uses": (lambda bundle: bundle.about.pop("unlogged"), "bundle.json: it has no unlogged"),
    "a ghost of another system": (ghost("deepglobe-fcn-0123456789"), "has the key 'deepglobe-fcn-0123456789' and the"),
    "a ghost without a digest": (ghost("deepglobe-unet-x"), "has the key 'deepglobe-unet-x' and the name 'unet'"),
    "a use before the suite": (
        lambda bundle: bundle.uses[0].update(time="1999-01-01T00:00:00+00:00"), "use 1 has the time '1999",
    ),
    # runs without a result
    "a failure on no split": (failure([("data", "ab" * 32)]), "runs/.*: no split in the bundle has its digest abab"),
    "a failure of another split seed": (failure([("split_seed", 9)]), "it names split seed 9 .*another split"),
    "a failure of a system's other options": (
        failure([("model", {"name": "fcn", "version": Fcn.version, "options": {"width": 3}})]),
        "its options {'width': 3} are not those of fcn",
    ),
    "a failure of another version": (
        failure([("model", {"name": "fcn", "version": 77, "options": {}})]), "version 77 of fcn, this version has",
    ),
    "a failure with weights": (failure([("weights", ["ab" * 32])]), "runs/.*digests of 1 checkpoints, fcn"),
    "a failure of a large seed": (failure([("split_seed", 2**50)]), "runs/.*its split_seed is 1125899906842624"),
    "a failure to come": (failure(when="2999-01-01T00:00:00+00:00"), "it ended '2999-01-01.*expected a time that has"),
    "a failure without a time": (failure(when=""), "it ended '', expected a time that has been"),
    "a failure in no table": (failure([("model", {"name": "foe", "version": 1, "options": {}})]), "it stands in no"),
    "a failure of an own name": (
        lambda bundle: invented_failure(
            bundle, provenance={"system": bundle.result(system="mynet")["provenance"]["system"]}
        ),
        "fcn is a system of this suite, and its record calls it a user's own",
    ),
    "a failure of other data": (
        failure(data={**FACTS, "pairs": 7}), "runs/.*it says of its data pairs = 7, its split gives",
    ),
    # bundle.json
    "a field of no bundle": (lambda bundle: bundle.about.update(note="x"), "bundle.json: no bundle has its fields"),
    "too many tables": (
        lambda bundle: bundle.about.update(tables=["table1"] * (2 * len(WITH_TABLES) + 1)),
        "tables: expected a list of at most",
    ),
    "a long version": (lambda bundle: bundle.about.update(made_with="0" * 99), "made_with: expected one printable"),
    # what every record says
    "no probabilities": (in_result(lambda raw: raw.pop("probabilities")), "it does not say its probabilities"),
    "no machine": (
        in_result(lambda raw: [raw["provenance"].pop(name) for name in ("platform", "cores")]),
        "results/.*it does not say platform, cores, which",
    ),
    "no version": (in_result(lambda raw: raw["provenance"].pop("versions")), "it does not say versions"),
    "no machine of a score": (
        lambda bundle: bundle.score()["provenance"].pop("threads"), "scores/.*it does not say threads",
    ),
    "a use denied": (hidden_use, "1 results without a logged use are not in the bundle"),
    "a ledger in another order": (
        lambda bundle: bundle.uses[0].update(time="2026-01-01T00:00:00+00:00")
        or bundle.uses[1].update(time="2025-01-01T00:00:00+00:00"),
        "lines are only ever added",
    ),
    "a use of another system": (lambda bundle: bundle.uses[0].update(system="fcn"), "not its own system and split"),
    "a use for nothing": (lambda bundle: bundle.uses[0].update(purpose="fun"), "was for 'fun'"),
    "a use after the end": (
        in_result(lambda raw: raw["provenance"].update(finished="2025-02-03T04:05:06+00:00")), "and its test began at",
    ),
}  # fmt: skip


def require_found(forger, name, *, tables):
    forge, words = FORGERIES[name]
    forge(forger)
    forger.write(tables=tables)
    found = check(forger.folder).problems
    assert any(re.search(words, line) for line in found), found


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_found(forger, name, monkeypatch):
    """Without the tables: the same records give the same twice, as a test of publish holds."""
    monkeypatch.setattr(verify, "documents", lambda folder, tables: {})
    require_found(forger, name, tables=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_with_its_tables_is_found(forger, name):
    require_found(forger, name, tables=True)


def test_verify_shows_how_often_the_test_splits_were_used(forger):
    (first, *_) = check(forger.folder).uses
    assert first.endswith(
        "of deepglobe: 4 uses by 3 runs of 2 systems; 1 of them by predictions that were scored or systems of other "
        "data."
    )
