"""Ray for the time of a block: a cluster of its own on this machine, or one that runs already."""

import contextlib
import os
import sys
from collections.abc import Iterator

from regimegym.training.sweeps.optional import import_ray


@contextlib.contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Ray, connected to `address` or, where None, to a local cluster that ends with the block.

    Raises:
        MachineError: ray is not installed.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield
        return
    # Workers start elsewhere: they need this working folder's modules, and ours.
    path = os.pathsep.join(dict.fromkeys(part or os.getcwd() for part in sys.path))
    quiet = {} if address else {"include_dashboard": False}
    ray.init(
        address=address,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}},
        **quiet,
    )
    try:
        yield
    finally:
        ray.shutdown()
