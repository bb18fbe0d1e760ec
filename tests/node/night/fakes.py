"""Work for the night's processes that fails as frames and libraries do."""

import os
import signal
from pathlib import Path
from typing import Any

from boundless_skies.node.night.run import expose_frame
from boundless_skies.node.photometry.exposure import Exposure
from boundless_skies.node.services.measuring import Refused


def work_that_may_die(path: str, config: dict[str, Any]) -> Exposure | Refused:
    """Expose a frame; one whose name begins with ``deadly`` takes the process down."""
    if Path(path).name.startswith("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    return expose_frame(path, config)
