"""Collect no garbage while the forkserver imports, a fifth of its time. Preloaded first."""

import gc

gc.disable()  # until `frozen_garbage`, which is preloaded last
