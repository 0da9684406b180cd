"""Moving windows in constant time per row, without the drift of running sums; all causal.

Rows fall into blocks as long as the window. A window is the tail of one block and the head of the
next, so its sum is one suffix sum plus one prefix sum: only additions, as exact as adding the
window up anew. Moments of the two parts are taken about a value of their own and then merged,
which is accurate to round-off whatever the level of the values.

Leading NaN are skipped: the first window starts behind them. NaN further in stay in their windows.
Results are NaN before a window is full. NumPy allocates them, for it asks for
huge pages: a third fewer page faults over a million rows (measured).
"""

import numpy as np
from numba import njit


@njit(cache=True)
def leading_nan(values: np.ndarray) -> int:
    """How many values at the start are NaN."""
    first = 0
    while first < len(values) and np.isnan(values[first]):
        first += 1
    return first


def moving_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Sum of the last `window` values, (T,)."""
    out = np.empty(len(values))
    _sum_into(out, values, window)
    return out


@njit(cache=True)
def _sum_into(out: np.ndarray, values: np.ndarray, window: int) -> None:
    out[:] = np.nan
    tail = np.zeros(window + 1)
    first = leading_nan(values)
    for start in range(first, len(values), window):
        stop = min(start + window, len(values))
        head = 0.0
        for t in range(start, stop):
            head += values[t]
            out[t] = tail[t - start + 1] + head
        if start == first:
            out[start : min(start + window - 1, len(values))] = np.nan
        if stop == start + window:
            for j in range(window - 1, -1, -1):
                tail[j] = tail[j + 1] + values[start + j]


def moving_mean_sd(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (ddof 0) of the last `window` values, each (T,)."""
    mean, sd = np.empty(len(values)), np.empty(len(values))
    _mean_sd_into(mean, sd, values, window)
    return mean, sd


@njit(cache=True)
def _mean_sd_into(mean: np.ndarray, sd: np.ndarray, values: np.ndarray, window: int) -> None:
    mean[:] = np.nan
    sd[:] = np.nan
    tail_mean, tail_m2 = np.zeros(window + 1), np.zeros(window + 1)
    first = leading_nan(values)
    for start in range(first, len(values), window):
        stop = min(start + window, len(values))
        centre, total, squares = values[start], 0.0, 0.0
        for t in range(start, stop):
            d = values[t] - centre
            total += d
            squares += d * d
            n = t - start + 1
            m, m2 = total / n, squares - total * total / n
            if n < window:
                if start == first:
                    continue
                apart = m + centre - tail_mean[n]
                m2 += tail_m2[n] + apart * apart * n * (window - n) / window
                m = (n * m - (window - n) * (centre - tail_mean[n])) / window
            mean[t] = centre + m
            sd[t] = np.sqrt(max(m2, 0.0) / window) if m2 == m2 else np.nan
        if stop == start + window:
            centre, total, squares = values[stop - 1], 0.0, 0.0
            for j in range(window - 1, 0, -1):
                d = values[start + j] - centre
                total += d
                squares += d * d
                n = window - j
                tail_mean[j] = centre + total / n
                tail_m2[j] = squares - total * total / n


@njit(cache=True)
def moving_shape(values: np.ndarray, sd: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Skewness and kurtosis (3 for a normal distribution) of the last `window` values, each (T,).

    `sd` are their moving standard deviations. Both are 0 where sd is below 1e-5 of the mean: the
    third and fourth powers of such a deviation drown in the round-off of their sums.
    """
    skew = np.full(len(values), np.nan)
    kurtosis = np.full(len(values), np.nan)
    tail = np.zeros((window + 1, 4))
    first = leading_nan(values)
    for start in range(first, len(values), window):
        stop = min(start + window, len(values))
        head = np.zeros(4)
        for t in range(start, stop):
            power = 1.0
            for i in range(4):
                power *= values[t]
                head[i] += power
            if t < first + window - 1:
                continue
            n = t - start + 1
            m1, m2 = (head[0] + tail[n, 0]) / window, (head[1] + tail[n, 1]) / window
            m3, m4 = (head[2] + tail[n, 2]) / window, (head[3] + tail[n, 3]) / window
            varies = sd[t] > 1e-5 * abs(m1)
            third = m3 - 3.0 * m1 * m2 + 2.0 * m1 * m1 * m1
            fourth = m4 - 4.0 * m1 * m3 + 6.0 * m1 * m1 * m2 - 3.0 * m1 * m1 * m1 * m1
            skew[t] = third / (sd[t] * sd[t] * sd[t]) if varies else 0.0
            kurtosis[t] = fourth / (sd[t] * sd[t] * sd[t] * sd[t]) if varies else 0.0
        if stop == start + window:
            for j in range(window - 1, -1, -1):
                power = 1.0
                for i in range(4):
                    power *= values[start + j]
                    tail[j, i] = tail[j + 1, i] + power
    return skew, kurtosis


@njit(cache=True)
def moving_correlation(x: np.ndarray, y: np.ndarray, window: int) -> np.ndarray:
    """Correlation of the last `window` pairs, in [−1, 1], (T,); 0 where either does not vary (1e-9 relative)."""
    out = np.full(len(x), np.nan)
    tail = np.zeros((window + 1, 5))
    first = max(leading_nan(x), leading_nan(y))
    for start in range(first, len(x), window):
        stop = min(start + window, len(x))
        head = np.zeros(5)
        for t in range(start, stop):
            _add_pair(head, head, x[t], y[t])
            if t < first + window - 1:
                continue
            n = t - start + 1
            sx, sy = (head[0] + tail[n, 0]) / window, (head[1] + tail[n, 1]) / window
            sxx, syy = (head[2] + tail[n, 2]) / window, (head[3] + tail[n, 3]) / window
            sxy = (head[4] + tail[n, 4]) / window
            vx, vy = sxx - sx * sx, syy - sy * sy
            varies = vx > 1e-12 * sxx and vy > 1e-12 * syy
            out[t] = min(1.0, max(-1.0, (sxy - sx * sy) / np.sqrt(vx * vy))) if varies else 0.0
        if stop == start + window:
            for j in range(window - 1, -1, -1):
                _add_pair(tail[j], tail[j + 1], x[start + j], y[start + j])
    return out


@njit(cache=True)
def _add_pair(out: np.ndarray, sums: np.ndarray, x: float, y: float) -> None:
    """Sums of x, y, x², y², xy with one pair more."""
    out[0], out[1] = sums[0] + x, sums[1] + y
    out[2], out[3], out[4] = sums[2] + x * x, sums[3] + y * y, sums[4] + x * y


@njit(cache=True)
def last_at_or_before(moments: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Index of the last of the sorted `edges` ≤ each of the sorted `moments`, (T,) int64; −1 before the first."""
    out = np.empty(len(moments), np.int64)
    k = -1
    for t in range(len(moments)):
        while k + 1 < len(edges) and edges[k + 1] <= moments[t]:
            k += 1
        out[t] = k
    return out


def moving_regression(values: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least-squares line through the last `window` values over time; three arrays (T,).

    Returns:
        Slope per row; R², the share of the variance that the line explains; and the last value's
        residual over the residuals' standard deviation (ddof 0). R² and residual are 0 where the
        values lie on one level or on the line, to within round-off (1e-9 of standard deviation).
    """
    slope, fit, residual = np.empty(len(values)), np.empty(len(values)), np.empty(len(values))
    _regression_into(slope, fit, residual, values, window)
    return slope, fit, residual


@njit(cache=True)
def _regression_into(slope: np.ndarray, fit: np.ndarray, residual: np.ndarray, values: np.ndarray, window: int) -> None:
    slope[:] = np.nan
    fit[:] = np.nan
    residual[:] = np.nan
    tail_mean, tail_xy, tail_yy = np.zeros(window + 1), np.zeros(window + 1), np.zeros(window + 1)
    first = leading_nan(values)
    sxx = window * (window * window - 1.0) / 12.0
    for start in range(first, len(values), window):
        stop = min(start + window, len(values))
        centre, total, product, squares = values[start], 0.0, 0.0, 0.0
        for t in range(start, stop):
            d = values[t] - centre
            n = t - start + 1
            total += d
            product += (n - 1) * d
            squares += d * d
            m = total / n
            xy, yy = product - 0.5 * (n - 1) * total, squares - total * m
            m += centre
            if n < window:
                if start == first:
                    continue
                rest = window - n
                apart = m - tail_mean[n]
                both = n * rest / window
                xy += tail_xy[n] + 0.5 * window * apart * both
                yy += tail_yy[n] + apart * apart * both
                m = tail_mean[n] + apart * n / window
            b = xy / sxx
            slope[t] = b
            explained = b * xy
            left = yy - explained
            flat = yy <= 1e-18 * window
            fit[t] = 0.0 if flat else min(explained / yy, 1.0)
            on_line = flat or left <= max(1e-18 * window, 1e-12 * yy)
            end = values[t] - m - 0.5 * (window - 1) * b
            residual[t] = 0.0 if on_line else end / np.sqrt(left / window)
            if yy != yy:
                fit[t] = residual[t] = np.nan
        if stop == start + window:
            centre, total, product, squares = values[stop - 1], 0.0, 0.0, 0.0
            for j in range(window - 1, 0, -1):
                d = values[start + j] - centre
                n = window - j
                total += d
                product -= (n - 1) * d
                squares += d * d
                m = total / n
                tail_mean[j] = centre + m
                tail_xy[j] = product + 0.5 * (n - 1) * total
                tail_yy[j] = squares - total * m


def shifted(values: np.ndarray, rows: int) -> np.ndarray:
    """The values of `rows` rows ago, (T,); NaN on the first `rows` rows."""
    out = np.empty(len(values))
    out[: min(rows, len(values))] = np.nan
    out[rows:] = values[: max(len(values) - rows, 0)]
    return out


def change(values: np.ndarray, rows: int) -> np.ndarray:
    """values_t − values_{t−rows}, (T,); NaN on the first `rows` rows."""
    out = np.empty(len(values))
    out[: min(rows, len(values))] = np.nan
    np.subtract(values[rows:], values[: max(len(values) - rows, 0)], out=out[rows:])
    return out


def ratio(numerator: np.ndarray, denominator: np.ndarray, otherwise: float) -> np.ndarray:
    """numerator / denominator (T,), and `otherwise` where the denominator is 0; NaN passes through."""
    out = np.empty(len(numerator))
    _ratio_into(out, numerator, denominator, otherwise)
    return out


@njit(cache=True)
def _ratio_into(out: np.ndarray, numerator: np.ndarray, denominator: np.ndarray, otherwise: float) -> None:
    for t in range(len(numerator)):
        out[t] = otherwise if denominator[t] == 0.0 else numerator[t] / denominator[t]
