"""Keep what the forkserver has imported out of garbage collection, so that its children share the memory.

Preloaded last.
"""

import atexit
import gc

gc.freeze()
gc.enable()
atexit.register(gc.unfreeze)  # libraries report frozen objects as leaks at exit
