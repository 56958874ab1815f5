"""Rounding with error feedback: GPTQ (Frantar et al., arXiv:2210.17323) for any grid, given the layer's Hessian.

A column is rounded, and what it lost is made up by the columns not yet rounded, weighed by how the layer's inputs go
together: H = X^T X over calibration inputs X. The loss that falls is the layer's output error tr(E H E^T), not the
weights' own. This module needs only numpy; who has a model and text makes the Hessians.
"""

import numpy as np

from .errors import CodecError


def feedback_round(
    weights: np.ndarray, hessian: np.ndarray, step: np.ndarray | float, damp: float = 0.01
) -> np.ndarray:
    """Integers q such that `q * step` loses little at the layer's output. `(R, C), (C, C) -> (R, C) int64`.

    step: a number, or one for each row `(R,)`; damp: share of the mean diagonal added to the Hessian. Raises CodecError
    when shapes do not fit or the Hessian is not positive after damping.
    """
    rows, columns = weights.shape
    if hessian.shape != (columns, columns) or not np.isfinite(hessian).all():
        raise CodecError(f"a Hessian of shape {hessian.shape} does not fit weights of shape {weights.shape}.")
    h = hessian.astype(np.float64) + np.eye(columns) * max(damp * float(np.trace(hessian)) / max(columns, 1), 1e-12)
    try:
        upper = np.linalg.cholesky(np.linalg.inv(h)).T  # inv(H) = U^T U
    except np.linalg.LinAlgError:
        raise CodecError("the Hessian is not positive definite after damping; give more calibration text.") from None
    left = weights.astype(np.float64).copy()
    steps = np.broadcast_to(np.asarray(step, np.float64), (rows,))
    out = np.empty((rows, columns), np.int64)
    for c in range(columns):
        out[:, c] = np.rint(left[:, c] / steps)
        error = (left[:, c] - out[:, c] * steps) / upper[c, c]
        left[:, c + 1 :] -= error[:, None] * upper[c, c + 1 :]
    return out


def output_error(weights: np.ndarray, back: np.ndarray, hessian: np.ndarray) -> float:
    """tr(E H E^T): the squared error of the layer's outputs over the calibration inputs."""
    e = weights.astype(np.float64) - back
    return float(((e @ hessian) * e).sum())
