"""bfloat16 and float16 as hardware for them computes, on processors without: products in float32, rounded once."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

ATEN = torch.ops.aten
FLASH = ATEN._scaled_dot_product_flash_attention_for_cpu.default
IN_PLACE = {ATEN.addmm_.default: ATEN.addmm.default}
PRODUCTS = {
    ATEN.mm.default, ATEN.addmm.default, ATEN.bmm.default, ATEN.baddbmm.default, ATEN.convolution.default,
    ATEN.convolution_backward.default, FLASH, ATEN._scaled_dot_product_flash_attention_for_cpu_backward.default,
    *IN_PLACE,
}  # fmt: skip


class Float32Products(TorchDispatchMode):
    """Within it products of `half` tensors take a tenth of the time that emulation takes."""

    def __init__(self, half=torch.bfloat16):
        super().__init__()
        self.half = half

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func not in PRODUCTS:  # first, because most operators are none
            return func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not any(tensor.dtype == self.half for tensor in tensors):
            return func(*args, **kwargs)
        exact, named = tree_map_only(torch.Tensor, self._widened, (args, kwargs))
        made = IN_PLACE.get(func, func)(*exact, **named)
        if func == FLASH:
            attended, sums = made
            return attended.to(self.half), sums  # which its backward pass wants in float32
        made = tree_map_only(torch.Tensor, self._rounded, made)
        return args[0].copy_(made) if func in IN_PLACE else made

    def _widened(self, tensor):
        return tensor.float() if tensor.dtype == self.half else tensor

    def _rounded(self, tensor):
        return tensor.to(self.half) if tensor.dtype == torch.float32 else tensor
