import pytest
import torch
from torch.nn import functional as F

from baselines.unet.network import architecture
from rssam.contract import Task
from tests.rssam.fakes import parameters, shake, trainable_parameters

LAND = tuple("abcdef")


# the bilinear variant of the public code has 17,262,977: another network
@pytest.mark.parametrize(("classes", "side", "total"), [(("road",), 512, 31_037_633), (LAND, 256, 31_037_958)])
def test_totals(classes, side, total):
    with torch.device("meta"):
        net = architecture(Task(classes, (side, side)), width=64)
        logits = net(torch.zeros(1, 3, side, side))
    assert parameters(net) == trainable_parameters(net) == total
    assert logits.shape == (1, len(classes), side, side)


def reference(net, images):
    """U-Net in evaluation from a list of its tensors, in the order of the published layer table."""
    tensors = iter([t for name, t in net.state_dict().items() if not name.endswith("num_batches_tracked")])

    def take(number):
        return [next(tensors) for _ in range(number)]

    def two_convs(x):
        for _ in range(2):
            (kernel,), (scale, shift, mean, variance) = take(1), take(4)
            x = F.conv2d(x, kernel, padding=1)
            x = (x - mean[:, None, None]) / torch.sqrt(variance[:, None, None] + 1e-5)
            x = torch.relu(x * scale[:, None, None] + shift[:, None, None])
        return x

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    maps = [two_convs((images - mean[:, None, None]) / std[:, None, None])]
    for _ in range(4):
        maps.append(two_convs(F.max_pool2d(maps[-1], 2)))
    x = maps.pop()
    for skip in reversed(maps):
        kernel, bias = take(2)
        up = F.conv_transpose2d(x, kernel, bias, stride=2)
        x = two_convs(torch.cat([skip, up], dim=1))  # the skip comes first
    kernel, bias = take(2)
    assert next(tensors, None) is None
    return F.conv2d(x, kernel, bias)


@torch.no_grad()
def test_equals_the_layer_table():
    torch.manual_seed(0)
    net = shake(architecture(Task(LAND, (32, 64)), width=4))
    images = torch.rand(2, 3, 32, 64)
    net.train()(images)  # running averages of its own
    net.eval()
    torch.testing.assert_close(net(images), reference(net, images), atol=1e-4, rtol=1e-4)
