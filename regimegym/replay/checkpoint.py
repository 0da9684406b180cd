"""A replay buffer as one safetensors file: plain arrays, nothing that runs when it is read."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from regimegym.common.errors import MachineError, ModelError
from regimegym.common.files import flush_to_disk
from regimegym.replay.regime import RegimeReplayBuffer


def save_replay(path: Path, buffer: RegimeReplayBuffer) -> None:
    """Write the buffer's state and wait until it is on disk.

    Raises:
        MachineError: the disk or its permissions refuse.
    """
    state = buffer.state()
    try:
        save_file(state, path)
        with path.open("rb+") as file:
            flush_to_disk(file)
    except (OSError, SafetensorError) as error:
        size = sum(array.nbytes for array in state.values()) / 1e6
        raise MachineError(
            "cannot-write-replay", f"the replay could not be written to {path}: {error}", needed=f"{size:.1f} MB"
        ) from error


def load_replay(path: Path, buffer: RegimeReplayBuffer) -> None:
    """Let `buffer` continue where the saved one was.

    Raises:
        ModelError: no replay file, a damaged one, or one of a buffer of another size or kind.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError("damaged-replay", f"{path} is no replay file: {error}") from error
    buffer.load_state(state)
