"""Linear regression of each entry of a row on the entries to its left, from the covariance of the rows above.

Trained matrices are not noise around zero: embeddings share directions, and so do the rows of many projections. With C
the moments of earlier rows, each divided by its own size, plus a ridge on the diagonal, the Cholesky factor L of C
holds every such regression at once: x[j] = sum of a[j, k] x[k] over k < j, with a = 1 - diag(L) L^-1. The ridge is the
weight of "no correlation" in rows, a conjugate prior.

Coefficients are rounded to 1/512. LAPACK's last digits differ between machines (measured: below 1e-12), so the writer
refuses a ridge that would bring any coefficient within 1e-10 of the middle between two steps, and takes another.
"""

import numpy as np

STEPS = 512  # of a coefficient of 1


def normalised(rows: np.ndarray) -> np.ndarray:
    """Rows `(n, d)` of whole numbers as integers of like size, with a constant before them, `(n, d + 1) float64`."""
    x = rows.astype(np.int64)
    size = np.abs(x).sum(1, keepdims=True) * 16 // x.shape[1] + 8
    return np.concatenate([np.full((len(x), 1), 256), x * 2048 // size], 1).astype(np.float64)


def coefficients(moments: np.ndarray, count: int, ridge: float) -> np.ndarray:
    """`(d + 1, d + 1)` coefficients times 512, to be rounded, zero on and above the diagonal."""
    own = moments.diagonal() / 65536
    scale = np.sqrt((own + 8 * np.median(own) / count) / (count + 8)) + 2.0**-20
    c = moments / 65536 / scale / scale[:, None]
    c[np.diag_indices(len(c))] += ridge
    factor = np.linalg.cholesky(c)
    a = -triangle_inverse(factor) * factor.diagonal()[:, None] * scale[:, None] / scale * STEPS
    a[np.diag_indices(len(a))] = 0
    return a


def triangle_inverse(lower: np.ndarray) -> np.ndarray:
    """The inverse of a lower triangular matrix, by halves."""
    half = len(lower) // 2
    if half < 32:
        return np.linalg.inv(lower)
    out = np.zeros_like(lower)
    out[:half, :half], out[half:, half:] = triangle_inverse(lower[:half, :half]), triangle_inverse(lower[half:, half:])
    out[half:, :half] = -out[half:, half:] @ (lower[half:, :half] @ out[:half, :half])
    return out
