"""What an image with its mask takes to be read from PNG, beside torchvision, in processor time of one thread.

From the root of the repository: python docs/measure/png.py --home HOME [--rounds 9]. HOME has deepglobe prepared; its
native masks are not read, and both read masks by Pillow. torchvision's image is not yet planar in memory: with
`.contiguous()`, as a batch needs it, it takes longer. Rounds alternate, each reads every image once.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_image
from turns import load, options, say, take_turns

from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest


def main() -> None:
    """Print the medians and their ratios."""
    parser = options(__doc__, {"--rounds": 9})
    parser.add_argument("--home", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder = asked.home / "data" / "deepglobe"
    data = PreparedDataset(folder, load_manifest(folder, "deepglobe").entries, cache=False)

    def ours(index: int) -> tuple[torch.Tensor, torch.Tensor]:
        item = data[index]
        return item["image"], item["mask"]

    def theirs(index: int) -> tuple[torch.Tensor, torch.Tensor]:
        entry = data.entries[index]
        image = decode_image(str(folder / entry.image), ImageReadMode.RGB)
        with Image.open(folder / entry.mask) as mask:  # of a palette torchvision gives the colours
            return image, torch.from_numpy(np.array(mask))

    def planar(index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image, mask = theirs(index)
        return image.contiguous(), mask

    readers = {"ours": ours, "torchvision": theirs, "torchvision, planar": planar}
    differ = sum(not torch.equal(a, b) for n in range(len(data)) for a, b in zip(ours(n), theirs(n), strict=True))
    work = {name: lambda read=read: [read(index) for index in range(len(data))] for name, read in readers.items()}
    turns = take_turns(work, asked.rounds, warm=False)
    taken = {name: [one.cores / len(data) for one in found] for name, found in turns.items()}
    for name, seconds in taken.items():
        ratio = median(mine / its for mine, its in zip(taken["ours"], seconds, strict=True))
        say(f"{name}: {1e3 * median(seconds):.2f} ms an image; ours takes {ratio:.2f} times as long")
    say(f"{len(data)} images, {differ} differ; load average {load()}")


if __name__ == "__main__":
    main()
