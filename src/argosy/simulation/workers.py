"""Worker processes of simulation runs. A worker ends with the process that started it, even when that one is killed."""

from __future__ import annotations

import os
import threading
import time

LOOK_S = 2.0


def end_with(parent: int) -> None:
    """End this process when its parent is gone.

    A worker calls this first; otherwise its pool's queue would block it for ever.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
