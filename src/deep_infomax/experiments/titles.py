"""What reports know of bounds, metrics, priors and methods, taken from the tables that define them."""

from deep_infomax.bounds import BOUNDS
from deep_infomax.evaluation import METRICS
from deep_infomax.objectives import PRIORS
from deep_infomax.recipes import settings_read
from deep_infomax.report import Titles


def titles() -> Titles:
    """The titles and meanings that `deep_infomax.report.write_report` is to show.

    >>> titles().bounds["jsd"].title, titles().metrics["knn"].title
    ('Jensen-Shannon', 'Nearest neighbours')
    """
    return Titles(bounds=BOUNDS, metrics=METRICS, priors=PRIORS, reads=settings_read())
