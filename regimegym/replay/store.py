"""The arrays behind the replay buffer: made, read as a whole, checked, packed for a file."""

from collections.abc import Mapping, Sequence

import numpy as np

from regimegym.common.errors import ConfigError, ModelError
from regimegym.common.regimes import N_REGIMES
from regimegym.replay import layout
from regimegym.replay.blocks import zeros_in_blocks
from regimegym.replay.drawing import shares_of
from regimegym.replay.layout import CAPACITY, COUNT, FIRST_SLOT, Memory, Pending, Store
from regimegym.replay.samples import Transitions
from regimegym.replay.sum_tree import N_COLUMNS, SumTrees

PLAIN = ("groups", "peaks", "clock", "held", "statistics")  # arrays of a store that are saved as they are


def split_capacity(capacity: int, n_parts: int) -> list[int]:
    """`capacity` slots in `n_parts` as even as can be; the remainder goes to the first ones.

    Raises:
        ConfigError: fewer slots than parts.
    """
    if capacity < n_parts:
        raise ConfigError(
            "replay-too-small", f"'agent.buffer_size' is {capacity}", needed=f"≥ {n_parts}, a slot for each regime"
        )
    return [capacity // n_parts + (k < capacity % n_parts) for k in range(n_parts)]


def new_memory(capacities: Sequence[int], n_words: int, is_prioritised: bool) -> Memory:
    """Empty memory of groups with `capacities` slots each, `n_words` words a slot."""
    n_slots, n_groups, trees = sum(capacities), len(capacities), SumTrees(capacities)
    n_leaves, n_nodes = (len(trees.leaves), len(trees.sums)) if is_prioritised else (0, 0)
    memory = Memory(
        words=np.zeros((n_slots, n_words), np.int32),
        whole=np.zeros(4 + layout.N_LABELS + (4 + N_COLUMNS) * n_groups, np.int64),
        real=zeros_in_blocks(n_leaves + 3 * n_nodes + n_groups + 1 + 4 * layout.N_LABELS),
    )
    memory.whole[:3] = n_groups, n_leaves, n_nodes
    store = layout.opened(*memory)
    store.words[:, layout.BORN] = -1
    store.groups[:, FIRST_SLOT] = np.cumsum(capacities) - capacities
    store.groups[:, CAPACITY] = capacities
    store.layout[:] = trees.layout
    store.minima[:] = np.inf
    return memory


def new_pending(n_envs: int, n_steps: int, n_words: int, gamma: float) -> Pending:
    """Room for the decisions of `n_envs` accounts that wait for `n_steps` rewards."""
    return Pending(
        words=np.zeros((n_envs, n_steps, n_words), np.int32),
        sums=np.zeros((n_envs, n_steps)),
        waiting=np.zeros(n_envs, np.int64),
        expected=np.zeros(n_envs, np.int64),
        powers=gamma ** np.arange(n_steps + 1.0),
    )


def trees_of(store: Store) -> SumTrees:
    """The priority trees of a store, sharing its arrays."""
    trees = SumTrees(store.groups[:, CAPACITY].tolist())
    trees.leaves, trees.sums, trees.bounds, trees.minima = store.leaves, store.sums, store.bounds, store.minima
    return trees


def filled_slots(store: Store) -> np.ndarray:
    """(M,) int64 slots that hold a transition, ascending."""
    return np.concatenate([np.arange(first, first + count) for first, _, _, count in store.groups])


def weights_of(store: Store) -> np.ndarray:
    """(M,) float64 p^α of the filled slots; ones where nothing is prioritised."""
    if not len(store.leaves):
        return np.ones(int(store.groups[:, COUNT].sum()))
    trees = trees_of(store)
    return np.concatenate([trees.weights(g)[:count] for g, count in enumerate(store.groups[:, COUNT])])


def probabilities(store: Store, regime_weights: np.ndarray) -> np.ndarray:
    """(capacity,) float64 P(i) = w_r·p_i^α/S_r of every slot, from the weights alone; Σ = 1."""
    shares, found = shares_of(store, regime_weights), np.zeros(len(store.words))
    found[filled_slots(store)] = weights_of(store)
    for g, (first, capacity, _, count) in enumerate(store.groups):
        if count:
            found[first : first + capacity] *= shares[g] / found[first : first + capacity].sum()
    return found


def mean_priorities(store: Store, alpha: float) -> np.ndarray:
    """(4,) mean p of each regime; NaN where there is none."""
    if not len(store.leaves) or alpha == 0:
        return np.full(N_REGIMES, np.nan)
    labels = store.words[filled_slots(store), layout.BITS] & 7
    sums = np.bincount(labels, weights=weights_of(store) ** (1.0 / alpha), minlength=layout.N_LABELS)
    with np.errstate(invalid="ignore"):
        return sums[1:] / store.held[1:]


def transitions(store: Store, n_actions: int, size: int) -> Transitions:
    """Everything held, in the order of the slots; actions of `n_actions` words, accounts of `size`."""
    slots = filled_slots(store)
    words, floats = store.words[slots], store.floats[slots]
    bits, first = words[:, layout.BITS], layout.ACTION + n_actions
    reference = words[:, layout.REFERENCE].astype(np.int64)
    return Transitions(
        reference=reference,
        account=floats[:, first : first + size],
        action=words[:, layout.ACTION : first],
        reward_n=floats[:, layout.RETURN],
        next_reference=reference + (bits >> layout.STEPS_BIT),
        next_account=floats[:, first + size :],
        terminated=(bits >> layout.END_BIT & 1).astype(bool),
        regime=(bits & 7).astype(np.int64) - 1,
    )


def check_store(store: Store) -> None:
    """Raise AssertionError unless counts, slots and priority trees agree with one another."""
    labels = store.words[filled_slots(store), layout.BITS] & 7
    assert np.array_equal(np.bincount(labels, minlength=layout.N_LABELS), store.held)
    if len(store.groups) > 1:
        assert np.array_equal(labels, np.repeat(np.arange(1, layout.N_LABELS), store.groups[:, COUNT]))
    if len(store.leaves):
        trees = trees_of(store)
        trees.check_valid()
        assert (weights_of(store) > 0).all()
        assert np.count_nonzero(store.leaves) == len(labels)


def pack_store(store: Store) -> dict[str, np.ndarray]:
    """What a store holds, without empty slots and without what follows from the rest."""
    held = {"words": store.words[filled_slots(store)], "weights": weights_of(store)}
    return held | {name: getattr(store, name) for name in PLAIN}


def unpack_store(store: Store, packed: Mapping[str, np.ndarray]) -> Memory:
    """Memory like that of `store` that holds what was packed.

    Raises:
        ModelError: `packed` lacks something, or is of another size or kind.
    """
    for name in PLAIN:
        check_shape(name, getattr(store, name).shape, packed.get(name, np.empty(0)).shape)
    capacities = store.groups[:, CAPACITY]
    memory = new_memory(capacities.tolist(), store.words.shape[1], len(store.leaves) > 0)
    fresh = layout.opened(*memory)
    if not np.array_equal(packed["groups"][:, CAPACITY], capacities):
        raise ModelError("other-replay", "the saved replay has other capacities", needed=str(capacities.tolist()))
    for name in PLAIN:
        getattr(fresh, name)[:] = packed[name]
    slots = filled_slots(fresh)
    check_shape("words", (len(slots), store.words.shape[1]), packed.get("words", np.empty(0)).shape)
    check_shape("weights", slots.shape, packed.get("weights", np.empty(0)).shape)
    fresh.words[slots] = packed["words"]
    if len(fresh.leaves):
        trees, start = trees_of(fresh), 0
        for g, count in enumerate(fresh.groups[:, COUNT]):
            trees.weights(g)[:count] = packed["weights"][start : start + count]
            start += count
        trees.rebuild()
    return memory


def check_shape(name: str, needed: tuple[int, ...], found: tuple[int, ...]) -> None:
    """Raise ModelError unless an array of a saved replay has the shape that is needed."""
    if needed != found:
        raise ModelError(
            "other-replay",
            f"'{name}' of the saved replay does not fit this buffer",
            needed=str(needed),
            found=str(found),
            help=("a replay is continued with the same size, kind, accounts, n_steps and environment",),
        )
