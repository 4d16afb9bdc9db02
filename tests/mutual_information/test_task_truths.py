"""The truths of tasks, found a second time by ways that know nothing of the tasks' own densities."""

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from deep_infomax.mutual_information import TASKS
from deep_infomax.mutual_information.ksg import ksg_pointwise
from deep_infomax.mutual_information.tasks import catalogue, codes

N = 8000
IDENTITY = lambda z: z  # noqa: E731
# Where nearest neighbours of a view of x and of y see all information, which they miss by little.
VIEWS = {
    "square-25": (lambda x: x[:, :1], IDENTITY, 0.0),
    "sine-50": (lambda x: x[:, :1], IDENTITY, 0.0),
    "product-40": (lambda x: x[:, :1] * x[:, 1:2], IDENTITY, 0.0),
    "cosine-100": (lambda x: x[:, :1], IDENTITY, 0.0),
    "sensors-linear": (lambda x: np.diff(x), IDENTITY, 0.0),
    "sensors-sine": (lambda x: np.diff(x), IDENTITY, 0.0),
    "curved-window-6": (lambda x: np.diff(np.diff(x))[:, -1:] * 20, IDENTITY, 0.0),
    "wave-4": (lambda x: x % 0.25, IDENTITY, 0.0),
    "wave-10": (lambda x: x % 0.1, IDENTITY, 0.0),
    "saw-6": (lambda x: x * 6 % 1, IDENTITY, 0.0),
    "checkerboard-4": (IDENTITY, IDENTITY, 0.0),
    "ring": (IDENTITY, IDENTITY, 0.0),
    "rings-3": (IDENTITY, IDENTITY, 0.0),
    "laplace": (IDENTITY, IDENTITY, 0.0),
    "cauchy": (np.arcsinh, np.arcsinh, 0.0),
    "multiplied": (lambda x: np.log(np.abs(x)), lambda y: np.log(np.abs(y)), math.log(2)),
    "variance-of-10": (lambda x: x.sum(1, keepdims=True), lambda y: np.log(np.abs(y)), 0.0),
}


@pytest.mark.parametrize("name", VIEWS)
def test_nearest_neighbours_agree(name):
    x, y, _ = TASKS[name].sample(N, seed=7)
    x_view, y_view, more = VIEWS[name]
    a, b = (z / z.std() for z in (x_view(x), y_view(y)))
    assert ksg_pointwise(a, b).mean() + more == pytest.approx(TASKS[name].truth, abs=0.04)


# What names the class or the cell in which a pair lies; classes that come with a continuous variable are cut finely.
def cut(z, pieces=60):
    return np.searchsorted(np.quantile(z, np.arange(1, pieces) / pieces), z, side="right")


CELLS = {
    "codes-shift-50": (lambda x: x[:, 0], lambda y: y[:, 0]),
    "codes-shift-150": (lambda x: x[:, 0], lambda y: y[:, 0]),
    "words-40": (lambda x: x[:, 0], lambda y: y[:, 0]),
    "codes-sum-12": (lambda x: x[:, 0] + 12 * x[:, 1], lambda y: y[:, 0]),
    "label-normal-10": (lambda x: x[:, 0], lambda y: cut(y[:, 0])),
    "codes-normal-80": (lambda x: x[:, 0], lambda y: cut(y[:, 0])),
    "jumps-12": (lambda x: (12 * x[:, 0]).astype(int), lambda y: cut(y[:, 0])),
    "counts-with-zeros": (lambda x: cut(x[:, 0]), lambda y: y[:, 0]),
    "rounded": (lambda x: cut(x[:, 0]), lambda y: np.rint(y[:, 0] / 0.25).astype(int)),
    "rounded-coarse": (lambda x: cut(x[:, 0]), lambda y: y[:, 0].astype(int)),
    "checkerboard-8": (lambda x: (8 * x[:, 0]).astype(int), lambda y: (8 * y[:, 0]).astype(int)),
    "sign-of-wave-5": (lambda x: (10 * x[:, 0]).astype(int), lambda y: y[:, 0] > 0),
    "parity-100": (lambda x: (x[:, 0] > 0) + 2 * (x[:, 1] > 0), lambda y: y[:, 0]),
    "label-scale-32": (lambda x: cut((x**2).sum(1)), lambda y: y[:, 0]),
    "identity-codes-60": (lambda x: x[:, 0], lambda y: y[:, 0]),
    "modulo-7-of-100": (lambda x: x[:, 0], lambda y: y[:, 0]),
    "sectors-5": (lambda x: cut(np.arctan2(x[:, 1], x[:, 0]), 100), lambda y: y[:, 0]),
    "threshold": (lambda x: cut(x[:, 0], 100), lambda y: y[:, 0]),
    "atoms-and-normal": (lambda x: cells_and_atoms(x[:, 0]), lambda y: cells_and_atoms(y[:, 0])),
}


def cells_and_atoms(z):
    return np.where(np.abs(z) == 1, np.sign(z) - 10, cut(z))


@pytest.mark.parametrize("name", CELLS)
def test_counts_of_cells_agree(name):
    n = 40_000
    x, y, _ = TASKS[name].sample(n, seed=7)
    x_cell, y_cell = CELLS[name]
    i, j = (np.unique(cell, return_inverse=True)[1] for cell in (x_cell(x), y_cell(y)))
    counts = np.zeros((i.max() + 1, j.max() + 1))
    np.add.at(counts, (i, j), 1)
    p = counts / n
    information = special.entr(p.sum(1)).sum() + special.entr(p.sum(0)).sum() - special.entr(p).sum()
    # Miller and Madow's correction of the bias of each entropy
    information += ((counts.sum(1) > 0).sum() + (counts.sum(0) > 0).sum() - (counts > 0).sum() - 1) / (2 * n)
    assert information == pytest.approx(TASKS[name].truth, abs=0.03)


@pytest.mark.parametrize(
    ("name", "levels", "exponent", "kept"), [("codes-zipf-100", 100, 1.0, 0.5), ("codes-zipf-400", 400, 1.2, 0.3)]
)
def test_information_of_repeated_zipf_codes_is_a_sum(name, levels, exponent, kept):
    p = [k**-exponent for k in range(1, levels + 1)]
    p = [value / sum(p) for value in p]
    total = 0.0
    for i in range(levels):
        for j in range(levels):
            given = (1 - kept) * p[j] + kept * (i == j)
            total += p[i] * given * math.log(given / p[j])
    assert TASKS[name].truth == pytest.approx(total, abs=1e-9)


def test_four_equally_likely_shifts_leave_the_rest_of_the_entropy():
    assert TASKS["codes-shift-500"].truth == pytest.approx(math.log(125))


@pytest.mark.parametrize("count", [40, 60])
def test_words_differ(count):
    assert len(set(codes.words(count))) == count


@pytest.mark.parametrize(
    "name",
    ["rotated-10-400", "rotated-10-10000", "rotated-20-2000", "smooth-window-8", "autoregressive-window-12"],
)
def test_canonical_correlations_of_the_samples_agree(name):
    x, y, _ = TASKS[name].sample(40_000, seed=7)
    bases = [np.linalg.qr(z - z.mean(0))[0] for z in (x, y)]
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    assert -np.log1p(-(correlations**2)).sum() / 2 == pytest.approx(TASKS[name].truth, abs=0.03)


@pytest.mark.parametrize(
    ("name", "condition"),
    [("rotated-10-400", 400), ("rotated-10-10000", 1e4), ("rotated-20-2000", 2000), ("sensors-linear", 1e4)],
)
def test_narrow_directions_are_as_narrow_as_said(name, condition):
    x = TASKS[name].sample(40_000, seed=7).x
    assert np.linalg.cond(np.cov(x.T)) == pytest.approx(condition, rel=0.1)


def test_censored_information_is_the_integral_of_its_two_parts():
    s, total = 0.3, math.hypot(1, 0.3)
    x, y = np.linspace(-6, 6, 241), np.linspace(0, 9, 3001)
    zero = stats.norm.cdf(-x / s)
    log_given = stats.norm.logpdf(y, x[:, None], s)
    above = integrate.simpson(np.exp(log_given) * (log_given - stats.norm.logpdf(y, 0, total)), x=y)
    integral = integrate.simpson(stats.norm.pdf(x) * (special.xlogy(zero, 2 * zero) + above), x=x)
    assert TASKS["censored"].truth == pytest.approx(integral, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "classes", "modes", "separation"), [("label-64-10x3", 10, 3, 0.45), ("label-64-4x1", 4, 1, 0.2)]
)
def test_label_of_a_mixture_leaves_as_much_unknown(name, classes, modes, separation):
    centres = separation * np.random.default_rng(0).standard_normal((classes * modes, 64))
    generator = np.random.default_rng(7)
    z = centres[generator.integers(len(centres), size=20_000)] + generator.standard_normal((20_000, 64))
    distance = ((z**2).sum(1)[:, None] - 2 * z @ centres.T + (centres**2).sum(1)) / 2
    posterior = special.softmax(-distance, axis=1).reshape(-1, classes, modes).sum(2)
    unknown = special.entr(posterior).sum(1)
    assert math.log(classes) - unknown.mean() == pytest.approx(TASKS[name].truth, abs=4 * unknown.std() / 20_000**0.5)


def test_kinds_hold_every_task_once():
    names = [task.name for tasks in catalogue.KINDS.values() for task in tasks]
    assert len(names) == len(set(names)) == len(TASKS)
    assert len(names) - len(catalogue.KINDS["literature"]) >= 25
