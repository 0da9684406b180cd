"""How answers of M members become one: pure functions of their answers and weights.

Answers are (M, N, C): probabilities, or (M, N, 1) values. Weights lie on the simplex; where a member
has no answer (NaN), its weight goes to the others in proportion, row by row.
"""

import numpy as np

TINY = 1e-12
ROUNDS = 500  # of the weight optimisation, which gains ever less


def shares(answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(M, N) weight of each member in each row, 0 where it has no answer; columns sum to 1, or are NaN.

    Args:
        answers: (M, N, C).
        weights: (M,) of all rows, or (M, N); a row whose members with an answer weigh nothing is shared alike.
    """
    there = np.isfinite(answers).all(axis=2)
    found = np.where(there, weights if weights.ndim == 2 else weights[:, None], 0.0)
    found = np.where(found.sum(axis=0) > 0, found, there)
    total = found.sum(axis=0)
    return np.where(total > 0, found / np.where(total > 0, total, 1.0), np.nan)


def averaged(answers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, C) Σ_m share_m(t) answer_m(t): probabilities are averaged, never labels; NaN where nobody answers."""
    return np.einsum("mn,mnc->nc", shares(answers, weights), np.where(np.isfinite(answers), answers, 0.0))


def mixture_weights(likelihood: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """(M,) weights on the simplex that maximise Σ_t r_t ln Σ_m w_m p_m(y_t), by EM; the problem is convex.

    Args:
        likelihood: (M, N) probability that each member gave to what came.
        rows: (N,) ≥ 0 weight r of each row; all alike where None.
    """
    weights = np.full(len(likelihood), 1.0 / len(likelihood))
    rows = np.ones(likelihood.shape[1]) if rows is None else rows
    p = np.maximum(likelihood, TINY)
    for _ in range(ROUNDS):
        responsible = weights[:, None] * p
        responsible /= responsible.sum(axis=0)
        found = responsible @ rows / rows.sum()
        if np.abs(found - weights).max() < 1e-9:
            break
        weights = found
    return weights


def squares_weights(values: np.ndarray, truth: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """(M,) weights on the simplex with the least Σ_t r_t (y_t − Σ_m w_m f_m(t))² for values (M, N) and truth (N,)."""
    from scipy.optimize import nnls

    root = np.sqrt(np.ones(len(truth)) if rows is None else rows)
    design, wanted = (values * root).T, truth * root
    # A heavy row of ones keeps the sum at 1; what is left of the error is divided out.
    heavy = 1e4 * max(1.0, float(np.abs(design).max()), float(np.abs(wanted).max())) * len(truth) ** 0.5
    found, _ = nnls(np.vstack([design, np.full(len(values), heavy)]), np.append(wanted, heavy))
    total = found.sum()
    return found / total if total > 0 else np.full(len(values), 1.0 / len(values))


def confident_weights(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(M, N) w_m · (max_c p_m(t) − 1/C)·C/(C − 1): a member that knows nothing of a row does not count there."""
    n_classes = probabilities.shape[2]
    sure = (np.nan_to_num(probabilities).max(axis=2) - 1.0 / n_classes) * n_classes / (n_classes - 1)
    return weights[:, None] * np.maximum(sure, 0.0)


def routed_weights(regimes: np.ndarray, by_regime: np.ndarray, hard: bool, default: np.ndarray) -> np.ndarray:
    """(M, N) the weights of each row's own regime; rows are routed one by one.

    Args:
        regimes: (N, R) probabilities; a NaN row takes the default.
        by_regime: (R, M) weights.
        hard: the most probable regime's weights; else their mean by probability.
        default: (M,) weights.
    """
    known = np.isfinite(regimes).all(axis=1)
    out = np.tile(default[:, None], (1, len(regimes)))
    chosen = regimes[known]
    out[:, known] = (by_regime[chosen.argmax(axis=1)] if hard else chosen @ by_regime).T
    return out


def largest(weights: np.ndarray, count: int | None) -> np.ndarray:
    """`weights` (M,) or (M, N) with all but the `count` largest of each row at 0, the first of equals kept."""
    if count is None or count >= len(weights):
        return weights
    order = np.argsort(-weights, axis=0, kind="stable")
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, order[:count], np.take_along_axis(weights, order[:count], axis=0), axis=0)
    return kept


class RecentSuccess:
    """Weights by discounted past scores: w_m ∝ exp(η Σ_s λ^(t−s) score_m(s)), s the rows known by t.

    Args:
        n_members: M.
        forgetting: λ in (0, 1].
        learning_rate: η > 0.
        scores: (M,) discounted sums so far.
    """

    def __init__(
        self, n_members: int, forgetting: float, learning_rate: float, scores: np.ndarray | None = None
    ) -> None:
        self.forgetting, self.learning_rate = forgetting, learning_rate
        self.scores = np.zeros(n_members) if scores is None else np.array(scores, dtype=np.float64)

    @property
    def weights(self) -> np.ndarray:
        """(M,) on the simplex."""
        found = np.exp(self.learning_rate * (self.scores - self.scores.max()))
        return found / found.sum()

    def update(self, scores: np.ndarray) -> None:
        """Take in (M, N) scores of rows in the order in which they became known.

        A member without an answer (NaN) is taken to have done as well as the others on average: it neither
        gains nor loses on them.
        """
        for of_row in scores.T:
            there = np.isfinite(of_row)
            usual = of_row[there].mean() if there.any() else 0.0
            self.scores = self.forgetting * self.scores + np.where(there, of_row, usual)
