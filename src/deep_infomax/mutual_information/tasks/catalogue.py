"""Tasks with known answers, by kind and by name.

The first kind is the benchmark of old: variables from the literature. The others hold what ordinary data bring: many
coordinates, narrow directions, categories, fine structure, mixtures and functions.

Samples of the seeds 0 to 4 (and from 5000 on, for the first kind) are those of the published figures, by which nothing
is chosen. Develop on the seeds from 1000 to 1999.

>>> task = TASKS["normal-bivariate"]
>>> x, y, log_ratio = task.sample(1000, seed=1000)
>>> x.shape, y.shape, round(task.truth, 4)
((1000, 1), (1000, 1), 0.4133)
"""

from typing import Final

from deep_infomax.mutual_information.tasks import codes, exact, mixed, narrow, pairs, sharp, wide
from deep_infomax.mutual_information.tasks.task import Task

KINDS: Final[dict[str, list[Task]]] = {
    "literature": pairs.tasks(),
    "many coordinates": wide.tasks(),
    "narrow directions": narrow.tasks(),
    "categories": codes.tasks(),
    "fine structure": sharp.tasks(),
    "mixtures and tails": mixed.tasks(),
    "functions": exact.tasks(),
}
"""Every task about two variables by its kind."""
TASKS: Final[dict[str, Task]] = {task.name: task for tasks in KINDS.values() for task in tasks}
"""Every task about two variables by its name."""
