"""Pairs of low and high dimension from the literature, and five in which a normal model finds nothing.

Sources: Czyz et al., "Beyond normal: on the evaluation of mutual information estimators", 2023, arXiv 2306.11078, for
the transformed normal, uniform and Student tasks; the others are derived in their docstrings.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import integrate, special

from deep_infomax.mutual_information.tasks import transforms
from deep_infomax.mutual_information.tasks.task import Sample, Task, entropy

Array = np.ndarray


def normal(name: str, covariance: Float[Array, "d d"], dx: int, tolerance: float) -> Task:
    """Jointly normal variables of zero mean: x is the first dx coordinates, y the others.

    ``I = 1/2 log(det S_x det S_y / det S)``.
    """
    parts = (covariance[:dx, :dx], covariance[dx:, dx:], covariance)
    log_determinants = [np.linalg.slogdet(part)[1] for part in parts]
    truth = (log_determinants[0] + log_determinants[1] - log_determinants[2]) / 2
    factor = np.linalg.cholesky(covariance)
    inverses = [np.linalg.inv(part) for part in parts]

    def draw(generator: np.random.Generator, n: int) -> Sample:
        both = generator.standard_normal((n, len(covariance))) @ factor.T
        x, y = both[:, :dx], both[:, dx:]
        squares = [np.einsum("ni,ij,nj->n", z, inverse, z) for z, inverse in zip((x, y, both), inverses, strict=True)]
        return Sample(x, y, truth + (squares[0] + squares[1] - squares[2]) / 2)

    return Task(name, float(truth), tolerance, draw)


def normal_pairs(name: str, d: int, correlations: list[float], tolerance: float) -> Task:
    """Standard normal x and y of d coordinates, of which the first few are correlated pairwise, x_i with y_i.

    ``I = -1/2 sum_i log(1 - r_i^2)``.
    """
    covariance = np.eye(2 * d)
    for i, r in enumerate(correlations):
        covariance[i, d + i] = covariance[d + i, i] = r
    return normal(name, covariance, d, tolerance)


def normal_dense(name: str, d: int, correlation: float, tolerance: float) -> Task:
    """Standard normal x and y of d coordinates, all 2 d of them equally correlated."""
    covariance = np.full((2 * d, 2 * d), correlation)
    np.fill_diagonal(covariance, 1.0)
    return normal(name, covariance, d, tolerance)


def uniform_noise(name: str, e: float, tolerance: float) -> Task:
    """X uniform on (0, 1), Y = X + U(-e, e): ``I = e - log 2e`` for e <= 1/2, else ``1 / (4 e)``."""

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.random((n, 1))
        y = x + generator.uniform(-e, e, (n, 1))
        overlap = np.minimum(1, y + e) - np.maximum(0, y - e)
        return Sample(x, y, -np.log(overlap[:, 0]))

    return Task(name, e - math.log(2 * e) if e <= 0.5 else 1 / (4 * e), tolerance, draw)


def student(name: str, d: int, nu: float, tolerance: float) -> Task:
    """Student's t in 2 d dimensions with identity dispersion: uncorrelated, dependent through a common scale."""

    def entropy(k: int) -> float:
        half = (nu + k) / 2
        digammas = special.digamma(half) - special.digamma(nu / 2)
        return float(
            -special.gammaln(half) + special.gammaln(nu / 2) + k / 2 * math.log(nu * math.pi) + half * digammas
        )

    def log_density(z: Array) -> Array:
        k = z.shape[1]
        constant = special.gammaln((nu + k) / 2) - special.gammaln(nu / 2) - k / 2 * math.log(nu * math.pi)
        density: Array = constant - (nu + k) / 2 * np.log1p((z**2).sum(1) / nu)
        return density

    def draw(generator: np.random.Generator, n: int) -> Sample:
        scale = np.sqrt(nu / generator.chisquare(nu, (n, 1)))
        both = scale * generator.standard_normal((n, 2 * d))
        x, y = both[:, :d], both[:, d:]
        return Sample(x, y, log_density(both) - log_density(x) - log_density(y))

    return Task(name, 2 * entropy(d) - entropy(2 * d), tolerance, draw)


def product_of_signs(name: str, flip: float, tolerance: float) -> Task:
    """The sign of y is that of x_1 x_2, flipped with a probability p: ``I = log 2 - H(p)``.

    All coordinates are standard normal, every two of them are independent, all correlations are 0.
    """

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.standard_normal((n, 2))
        flipped = generator.random(n) < flip
        sign = np.where(flipped, -1, 1) * np.sign(x.prod(1))
        y = sign * np.abs(generator.standard_normal(n))
        return Sample(x, y[:, None], np.log(2 * np.where(flipped, flip, 1 - flip)))

    return Task(name, math.log(2) - entropy(flip, 1 - flip), tolerance, draw)


def double_angle(name: str, w: float, tolerance: float) -> Task:
    """Points on two circles, at the angle a of x and 2 a + U(-w, w) of y: ``I = log(pi / w)``, all correlations 0."""

    def draw(generator: np.random.Generator, n: int) -> Sample:
        a = generator.uniform(0, 2 * math.pi, n)
        b = 2 * a + generator.uniform(-w, w, n)
        x, y = (np.stack([np.cos(angle), np.sin(angle)], axis=1) for angle in (a, b))
        return Sample(x, y, np.full(n, math.log(math.pi / w)))

    return Task(name, math.log(math.pi / w), tolerance, draw)


def crossed_normals(name: str, rho: float, tolerance: float) -> Task:
    """Standard normal x and y with correlation r or -r, by a fair coin: 0 on the whole.

    The density ratio is ``exp(-q) cosh(c) / sqrt(1 - r^2)`` with ``q = r^2 (x^2 + y^2) / (2 (1 - r^2))`` and
    ``c = r x y / (1 - r^2)``; the information is its quadrature.
    """
    free = 1 - rho**2

    def log_ratio(x: Array, y: Array) -> Array:
        c = rho * x * y / free
        value: Array = np.logaddexp(c, -c) - math.log(2) - rho**2 * (x**2 + y**2) / (2 * free) - math.log(free) / 2
        return value

    # By symmetry x and y may be taken as correlated by +r: x = u, y = r u + sqrt(1 - r^2) v.
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    u, v = np.meshgrid(nodes, nodes)
    weight = np.outer(weights, weights) / (2 * math.pi)
    truth = float((weight * log_ratio(u, rho * u + math.sqrt(free) * v)).sum())

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, noise = generator.standard_normal((2, n))
        y = rho * np.where(generator.random(n) < 0.5, -1, 1) * x + math.sqrt(free) * noise
        return Sample(x[:, None], y[:, None], log_ratio(x, y))

    return Task(name, truth, tolerance, draw)


def random_scale(name: str, tolerance: float) -> Task:
    """Y = exp(X) E with standard normal X and E: uncorrelated; x sets the scale of y.

    ``I(X; Y) = h(X + L) - h(L)`` with ``L = log|E|``, as the sign of Y is independent of all else; by quadrature.
    """
    grid = np.linspace(-30, 14, 8801)
    step = grid[1] - grid[0]
    log_noise = _log_density_of_log_abs_normal(grid)
    kernel = np.exp(-((np.arange(-2000, 2001) * step) ** 2) / 2) / math.sqrt(2 * math.pi)
    density = np.convolve(np.exp(log_noise), kernel * step, mode="same")
    log_sum = np.log(np.maximum(density, 1e-300))
    truth = float(integrate.simpson(np.exp(log_noise) * log_noise - density * log_sum, x=grid))

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x, noise = generator.standard_normal((2, n))
        log_size = np.log(np.abs(noise))
        ratio = _log_density_of_log_abs_normal(log_size) - np.interp(x + log_size, grid, log_sum)
        return Sample(x[:, None], (np.exp(x) * noise)[:, None], ratio)

    return Task(name, truth, tolerance, draw)


def symmetric_channel(name: str, error: float, tolerance: float) -> Task:
    """Eight equally likely integers, sent through a permutation; an error makes any of the seven others of it.

    ``I = log 8 - H(p) - p log 7``. The permutation has no correlation with the identity.
    """
    permutation = np.array([0, 3, 7, 6, 5, 1, 4, 2])
    truth = math.log(8) - entropy(error, 1 - error) - error * math.log(7)

    def draw(generator: np.random.Generator, n: int) -> Sample:
        x = generator.integers(8, size=n)
        wrong = generator.random(n) < error
        y = np.where(wrong, (permutation[x] + generator.integers(1, 8, size=n)) % 8, permutation[x])
        ratio = np.log(8 * np.where(wrong, error / 7, 1 - error))
        return Sample(x[:, None].astype(float), y[:, None].astype(float), ratio)

    return Task(name, truth, tolerance, draw)


def _log_density_of_log_abs_normal(log_size: Array) -> Array:
    """Log-density of log|E|, E standard normal: that of |E|, times the size for the change of variables."""
    density: Array = math.log(2) - math.log(2 * math.pi) / 2 - np.exp(2 * log_size) / 2 + log_size
    return density


def _same(x: Array) -> Array:
    return x


def tasks() -> list[Task]:
    """Normal variables and their bijections, uniform and Student variables, and five that have no correlations."""
    bivariate = normal_pairs("normal-bivariate", 1, [0.75], 0.01)
    made = [bivariate]
    for name, tolerance, x_map, y_map in (
        ("cdf", 0.01, transforms.normal_cdf, transforms.normal_cdf),
        ("half-cube", 0.01, transforms.half_cube, transforms.half_cube),
        ("asinh", 0.01, np.arcsinh, np.arcsinh),
        ("wiggly", 0.01, transforms.wiggly, transforms.wiggly),
        ("bimodal", 0.02, transforms.bimodal, transforms.bimodal),
        ("swiss-roll", 0.02, lambda x: transforms.swiss_roll(transforms.normal_cdf(x)), _same),
    ):
        made.append(bivariate.transformed(f"normal-bivariate-{name}", tolerance, x_map, y_map))
    made += [uniform_noise("uniform-noise-0.1", 0.1, 0.05), uniform_noise("uniform-noise-0.75", 0.75, 0.02)]
    sparse = {d: normal_pairs(f"normal-sparse-{d}", d, [0.8, 0.8], 0.05 if d == 25 else 0.02) for d in (2, 3, 5, 25)}
    made += sparse.values()
    for d, tolerance in ((2, 0.02), (3, 0.02), (5, 0.02), (25, 0.06), (50, 0.18)):
        made.append(normal_dense(f"normal-dense-{d}", d, 0.5, tolerance))
    for d, nu in ((1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3)):
        task = student(f"student-{d}-{nu}", d, nu, 0.05)
        made += [task, task.transformed(f"{task.name}-asinh", 0.05, np.arcsinh, np.arcsinh)]
    for d in (3, 5, 25):
        cube = transforms.half_cube
        made.append(sparse[d].transformed(f"normal-sparse-{d}-half-cube", 0.07, cube, cube))
    for d, tolerance in ((3, 0.05), (5, 0.10), (25, 0.35)):
        made.append(
            sparse[d].transformed(
                f"normal-sparse-{d}-spiral",
                tolerance,
                lambda x: transforms.spiral(x, (0, 1)),
                lambda y: transforms.spiral(y, (1, 2)),
            )
        )
    for nats, tolerance in ((2, 0.03), (4, 0.10), (6, 0.30), (8, 0.5), (10, 1.0)):
        rho = math.sqrt(1 - math.exp(-2 * nats / 20))
        made.append(normal_pairs(f"normal-correlated-20-{nats}", 20, [rho] * 20, tolerance))
    made.append(normal_pairs("independent", 1, [], 0.01))
    made += [
        product_of_signs("product-of-signs", 0.05, 0.03),
        double_angle("double-angle", 0.5, 0.05),
        crossed_normals("crossed-normals", 0.9, 0.03),
        random_scale("random-scale", 0.03),
        symmetric_channel("symmetric-channel", 0.2, 0.03),
    ]
    return made
