"""The mixing model itself: one function that codes or decodes every integer of a stream, bit by bit.

Each integer is predicted twice over. *Where*: seven neighbours (rows above, column means, the left, the same place in
the previous matrix of the same shape) go through an adaptive linear filter, or the whole row copies an earlier row,
as the embeddings of tokens that were never trained do. *How far off*: five estimates of the residual's magnitude (row
so far times column so far, in a short and a long memory, the neighbourhood, column and row alone), each a level that
selects a set of adaptive counters; a logistic mixer, as in lpaq, weighs the five opinions on each binary decision,
and a 32-bit binary arithmetic coder writes it. All arithmetic is in integers below 2**63. numba compiles this
function where it is installed; plain Python runs the very same text, slowly, and the tests hold the two together.
"""

import numpy as np

from .mix_tables import class_tables, gaussian_prior, logistic_tables, size_levels

INPUTS = 5
SIGNS = 17 * 81  # sign contexts of one input: the fraction of the prediction, and the level of size


def model_tables() -> tuple[np.ndarray, ...]:
    """Every table that `run_mix` takes, in its order."""
    squash, stretch = logistic_tables()
    levels = size_levels()
    prior = gaussian_prior(squash, levels)
    counters = np.concatenate([(prior.reshape(-1) << 16) + 30, np.full(SIGNS + 512, 1 << 31, np.int64)])
    rates = np.array([65536 // (n + 2) for n in range(1024)], np.int64)
    return squash, stretch, levels, np.tile(counters, (INPUTS, 1)), rates, *class_tables()


def run_mix(  # type: ignore[no-untyped-def]  # numba reads the types off the call
    q,
    sizes,
    lags,
    code,
    decode,
    squash,
    stretch,
    levels,
    counters,
    rates,
    class_of,
    class_first,
    class_bits,
    class_node,
):
    """Code `q` into `code`, or decode it back; returns the bytes used, or -1 when `code` is too short to write into.

    q (n,) int64: all integers; sizes (m, 3) int64: rows, columns, and where the previous matrix of the same shape
    starts or -1; lags (rows,) int64: how many rows up each row copies, 0 for none; code uint8. Decoding fills q, lags.
    """
    nodes = (counters.shape[1] - 17 * 81 - 512) // 81
    lag_area = counters.shape[1] - 512
    residual = np.zeros(q.size, np.int64)
    weights = np.full((32, 5), 65536 // 6, np.int64)
    weights[:, 0] = 65536 // 3
    lms, near = np.zeros(7, np.int64), np.zeros(7, np.int64)
    slot, said, size = np.zeros(5, np.int64), np.zeros(5, np.int64), np.zeros(5, np.int64)
    low, high, value, at = 0, 0xFFFFFFFF, 0, 0
    if decode:
        for _ in range(4):
            value = (value << 8) | (int(code[at]) if at < code.size else 0)
            at += 1
    start = row_at = 0
    sum0 = sum1 = norm0 = norm1 = 1
    typical = 64
    for m in range(sizes.shape[0]):
        rows, columns, before = sizes[m, 0], sizes[m, 1], sizes[m, 2]
        share = np.full((2, columns), 4096, np.int64)  # a column's size against its rows', in a short and a long memory
        hit, norm = np.zeros((2, columns), np.int64), np.zeros((2, columns), np.int64)
        mean, recent = np.zeros(columns, np.int64), np.zeros(columns, np.int64)  # of the values, in 1/256
        usual = np.full(2, typical, np.int64)  # a row's size, apart for rows that copy
        seen = np.full((2, 2), -1, np.int64)  # the last two rows that copied not, and that did
        lms[:] = 0
        count = 0
        for i in range(rows):
            copies = lag = place = 0
            row = usual[0]
            up = up2 = -1
            for j in range(-1, columns):
                a = start + i * columns + j
                guess = fraction = 0
                if j < 0:  # first, whether this row copies another, and which
                    lag = 0 if decode else lags[row_at]
                    steps, magnitude, kind = (9 if lag or decode else 1), 0, 0
                else:
                    left = abs(residual[a - 1]) if j > 0 else 0
                    left2 = abs(residual[a - 2]) if j > 1 else 0
                    around = 2 * left + left2
                    if up >= 0:
                        b = up + j
                        around += 2 * abs(residual[b])
                        around += abs(residual[b - 1]) if j > 0 else 0
                        around += abs(residual[b + 1]) if j + 1 < columns else 0
                        around += abs(residual[up2 + j]) if up2 >= 0 else 0
                    if copies:
                        size[0], size[1], size[3], size[4] = row, sum0 // norm0, row, row
                        guess = 16 * q[place + j]
                    else:
                        size[0] = sum0 * share[0, j] // norm0
                        size[1] = sum1 * share[1, j] // norm1
                        size[3], size[4] = usual[0] * share[0, j] >> 12, row
                        near[0] = q[up + j] * 16 if up >= 0 else 0
                        near[1] = q[up2 + j] * 16 if up2 >= 0 else 0
                        near[2], near[3] = mean[j] >> 4, recent[j] >> 4
                        near[4] = q[a - 1] * 16 if j > 0 else 0
                        near[5] = q[a - 2] * 16 if j > 1 else 0
                        near[6] = q[before + i * columns + j] * 16 if before >= 0 else 0
                        power = 4096
                        for z in range(7):
                            guess += lms[z] * near[z]
                            power += near[z] * near[z]
                        guess >>= 16
                    size[2] = (2 * around + 3 * size[0]) // 4
                    for z in range(5):
                        size[z] = levels[min(size[z], 4095)]
                    guess = min(max(guess, -2000), 2000)
                    whole = (guess + 8) >> 4
                    fraction = guess - whole * 16
                    magnitude = 0 if decode else abs(q[a] - whole)
                    kind = class_of[magnitude]
                    steps = 16 if decode else 4 + class_bits[kind] + (magnitude > 0)
                node = inner = 1
                negative, t = 0, 0
                while t < steps:  # one binary decision a turn
                    signing = False
                    if j < 0:
                        bit = int(lag > 0) if t == 0 else (lag >> (8 - t)) & 1
                        chosen = 31
                        for z in range(5):
                            slot[z] = lag_area + (0 if t == 0 else 256 + node)
                    elif t < 4:
                        bit = (kind >> (3 - t)) & 1
                        chosen = node
                        for z in range(5):
                            slot[z] = size[z] * nodes + node
                    elif t < 4 + class_bits[kind]:
                        bit = ((magnitude - class_first[kind]) >> (class_bits[kind] - 1 - (t - 4))) & 1
                        chosen = 16 + t
                        for z in range(5):
                            slot[z] = size[z] * nodes + class_node[kind] + inner
                    else:
                        signing = True
                        bit = 0 if decode else int(q[a] < whole)
                        chosen = 30
                        for z in range(5):
                            slot[z] = 81 * nodes + (fraction + 8) * 81 + size[z]
                    dot = 32768
                    for z in range(5):
                        said[z] = stretch[counters[z, slot[z]] >> 20]
                        dot += said[z] * weights[chosen, z]
                    p = squash[2048 + min(max(dot >> 16, -2047), 2047)]
                    span = high - low
                    middle = low + (span >> 16) * p + (((span & 0xFFFF) * p) >> 16)
                    if decode:
                        bit = int(value <= middle)
                    if bit:
                        high = middle
                    else:
                        low = middle + 1
                    while (low ^ high) < 0x1000000:
                        if decode:
                            value = ((value << 8) & 0xFFFFFFFF) | (int(code[at]) if at < code.size else 0)
                        else:
                            if at + 4 >= code.size:
                                return -1
                            code[at] = high >> 24
                        at += 1
                        low = (low << 8) & 0xFFFFFFFF
                        high = ((high << 8) & 0xFFFFFFFF) | 255
                    error = (bit << 16) - p
                    for z in range(5):
                        weights[chosen, z] += (said[z] * error + 65536) >> 17
                        state = counters[z, slot[z]]
                        n = state & 1023
                        chance = state >> 10
                        chance += (((bit << 22) - chance) * rates[n]) >> 16
                        counters[z, slot[z]] = (chance << 10) | min(n + 1, 1000)
                    t += 1
                    if j < 0:
                        if t == 1:
                            steps = 9 if bit else 1
                            lag = 0 if decode else lag
                        else:
                            node = 2 * node + bit
                    elif signing:
                        negative = bit
                    elif t <= 4:
                        node = 2 * node + bit
                        if t == 4 and decode:
                            kind = node - 16
                            steps = 4 + class_bits[kind] + (kind > 0)
                    else:
                        inner = 2 * inner + bit
                if j < 0:
                    if decode:
                        lag = min(node - 256, i) if steps == 9 else 0
                        lags[row_at] = lag
                    copies = int(lag > 0)
                    place = start + (i - lag) * columns
                    row = usual[copies]
                    sum0, sum1, norm0, norm1 = 2 * row, 8 * row, 2 << 12, 8 << 12
                    up, up2 = seen[copies, 0], seen[copies, 1]
                    continue
                if decode:
                    magnitude = class_first[kind] + inner - (1 << class_bits[kind])
                    q[a] = whole + (-magnitude if negative else magnitude)
                residual[a] = q[a] - whole
                now = 16 * magnitude
                row += ((now - row) * rates[min(j + 14, 398)]) >> 16
                sum0 += now - (sum0 >> 6)
                sum1 += now - (sum1 >> 9)
                norm0 += (4096 if copies else share[0, j]) - (norm0 >> 6)
                norm1 += (4096 if copies else share[1, j]) - (norm1 >> 9)
                if not copies:
                    mean[j] += ((256 * q[a] - mean[j]) * rates[min(count, 198)]) >> 16
                    recent[j] += ((256 * q[a] - recent[j]) * rates[min(count, 10)]) >> 16
                    gain = ((16 * q[a] - guess) << 16) // power
                    for z in range(7):
                        lms[z] += (gain * near[z] + 128) >> 8
            usual[copies] += ((row - usual[copies]) * rates[min(i, 30)]) >> 16
            seen[copies, 1] = seen[copies, 0]
            seen[copies, 0] = start + i * columns
            row_at += 1
            if not copies:
                level0, level1 = (sum0 << 12) // norm0 + 1, (sum1 << 12) // norm1 + 1
                for j in range(columns):
                    now = 16 * abs(residual[start + i * columns + j])
                    if count == 0:
                        hit[0, j] = norm[0, j] = 3 * level0
                        hit[1, j] = norm[1, j] = 12 * level1
                    hit[0, j] += now - (hit[0, j] >> 6)
                    hit[1, j] += now - (hit[1, j] >> 9)
                    norm[0, j] += level0 - (norm[0, j] >> 6)
                    norm[1, j] += level1 - (norm[1, j] >> 9)
                    share[0, j] = min((hit[0, j] << 12) // norm[0, j], 1 << 20)
                    share[1, j] = min((hit[1, j] << 12) // norm[1, j], 1 << 20)
                count += 1
        typical = usual[0]
        start += rows * columns
    if not decode:
        if at + 4 > code.size:
            return -1
        for k in range(4):
            code[at + k] = (low >> (24 - 8 * k)) & 255
        at += 4
    return at
