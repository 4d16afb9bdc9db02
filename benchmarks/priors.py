"""What keeps the distribution of Y in check, and what it costs: adversarial priors, noise before the scorers, SIGReg.

    python benchmarks/priors.py --out FOLDER --data cifar10/ --epochs 12 --seeds 3    (again to go on)
    python benchmarks/priors.py --out FOLDER --data digits --epochs 2 --seeds 1       (in miniature)
    python benchmarks/priors.py --out FOLDER --data cifar10/ --epochs 12 --seeds 3 --table    (only print)

All five trainings are `local-infonce` but for what their names say. Accuracy is that of the probe `mlp`, in %; `ndm` is
the dependence between the units of Y in nats. Both are read on held-out inputs, and so is how normal Y is:

- the share of units, and of 256 random projections, that D'Agostino and Pearson's test calls not normal at 5 %: near 5
  of a normal Y with any mean and deviation, and higher of every other the more inputs there are;
- the statistic of Epps and Pulley, which SIGReg minimises, as its mean over the same projections: of Y as it is, and of
  Y with units that have mean 0 and deviation 1 on training inputs. It is 1.06 of a standard normal Y and grows with the
  inputs of any other.

The last row has normal samples in the place of Y, equally many. A step is forward, backward and optimisers, always with
the same batch. The methods take turns in one process, a few steps each, so that other work on the machine meets all of
them; the ratio to `local-infonce` is the median over the rounds, beside its quartiles.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from rich.table import Table
from scipy.stats import normaltest
from torch import Tensor

from deep_infomax.cli.tables import print_table
from deep_infomax.contracts import Batch
from deep_infomax.data import Dataset, load_dataset
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import read_results
from deep_infomax.evaluation.features import extract
from deep_infomax.experiments.series import Series, Setting
from deep_infomax.objectives import epps_pulley
from deep_infomax.recipes import Config, build_encoder, build_objective
from deep_infomax.runtime import run_files
from deep_infomax.runtime.devices import choose_device
from deep_infomax.training import keep_freed_memory, resolve_precision
from deep_infomax.training.prepare import Model, prepare_optimizers, use_channels_last

PLAIN: Final = "local-infonce"
METHODS: Final = {
    PLAIN: Setting(PLAIN),
    "adversary, gaussian": Setting(PLAIN, {"gamma": 0.1, "prior": "gaussian"}),
    "adversary, uniform": Setting(PLAIN, {"gamma": 0.1, "prior": "uniform"}),
    "local-infonce-noise": Setting("local-infonce-noise"),
    "local-infonce-sigreg": Setting("local-infonce-sigreg"),
}
"""What is trained, by its name in the table."""
PROBED: Final = {
    "mlp conv": ("mlp", "conv", 1), "mlp fc": ("mlp", "fc", 1), "mlp Y": ("mlp", "Y", 1), "ndm Y": ("ndm", "Y", 2),
}  # fmt: skip
"""What is measured by its heading: metric, layer, and digits that are shown."""
PROJECTIONS: Final = 256
LEVEL: Final = 0.05
BLOCK: Final = 5
"""Steps of a method before it is another's turn."""
ROUNDS: Final = 20
NORMALITY: Final = ("units, %", "projections, %", "Epps-Pulley", "standardised")
"""Headings of what `normality` gives."""
SECONDS: Final = "seconds.json"
NORMAL: Final = "normal.json"
NULL: Final = math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3))


def main() -> None:
    arguments = parse()
    keep_freed_memory()
    metrics = tuple(dict.fromkeys(metric for metric, _, _ in PROBED.values()))
    series = Series(arguments.data, epochs=arguments.epochs, seeds=arguments.seeds, metrics=metrics, out=arguments.out)
    settings = {folder_name(name): setting for name, setting in METHODS.items()}
    dataset = load_dataset(arguments.data)
    if not arguments.table:
        for measurement in series.measure("priors", settings):
            write_normality(measurement.run, dataset)
        if not (arguments.out / SECONDS).exists():
            configs = {name: series.config(setting) for name, setting in METHODS.items()}
            (arguments.out / SECONDS).write_text(json.dumps(seconds(configs, dataset)))
    told = f"{dataset.name}, {arguments.epochs:g} epochs, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print_rows(arguments.out, told)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--data", default="digits", help="labelled data, as for dim train")
    parser.add_argument("--epochs", type=float, default=12, help="of every training")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of every method")
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    return parser.parse_args()


def folder_name(method: str) -> str:
    """As the run directories of a method begin."""
    return method.replace(", ", "-")


def write_normality(run: Path, dataset: Dataset) -> None:
    """Measure how normal Y of a run is, and normal samples of its size, unless the folder says so already."""
    if beside(run).exists():
        return
    assert dataset.test is not None, "the series has refused data without a test part"
    encoder = Encoder.from_pretrained(run)
    test, train = (extract(encoder, source, ["Y"])["Y"] for source in (dataset.test, dataset.train))
    generator = torch.Generator().manual_seed(1)
    normal = normality(*(torch.randn(part.shape, generator=generator) for part in (test, train)))
    (run.parent / NORMAL).write_text(json.dumps(normal))
    beside(run).write_text(json.dumps(normality(test, train)))


def beside(run: Path) -> Path:
    """The file about a run's normality."""
    return run.with_name(f"{run.name}.normality.json")


def normality(vectors: Tensor, reference: Tensor) -> dict[str, float]:
    """How normal vectors are, by the headings of the table; a reference says what their units are standardised by."""
    y = vectors.double()
    generator = torch.Generator().manual_seed(0)
    directions = F.normalize(torch.randn(PROJECTIONS, y.shape[1], generator=generator, dtype=torch.float64))
    deviation = reference.double().std(0).clamp(min=1e-12)  # of units that are constant
    standardised = (y - reference.double().mean(0)) / deviation
    shares = [rejected(y), rejected(standardised @ directions.T)]
    distances = [epps_pulley(values @ directions.T).mean().item() for values in (y, standardised)]
    return dict(zip(NORMALITY, shares + distances, strict=True))


def rejected(values: Tensor) -> float:
    """The share of variables in percent that the test calls not normal, with those that are constant."""
    with np.errstate(invalid="ignore"):
        return 100 * float(np.mean(~(normaltest(values.numpy(), axis=0).pvalue >= LEVEL)))


def seconds(configs: Mapping[str, Config], dataset: Dataset) -> dict[str, list[float]]:
    """Seconds of a step of every method in every round."""
    steps = {name: stepping(config, dataset) for name, config in configs.items()}
    found: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(1 + ROUNDS):  # the first touches memory for the first time
        for name in list(steps)[:: 1 if number % 2 else -1]:
            took = timed(steps[name])
            if number:
                found[name].append(took)
    return found


def stepping(config: Config, dataset: Dataset) -> Callable[[], None]:
    """A step of a training, always with the same batch."""
    source, training = dataset.pretraining, config.training
    device = choose_device(None)
    encoder = build_encoder(config, source.shape[0], source.shape[1:])
    model = Model(encoder, build_objective(config.objective, encoder, source)).to(device).train()
    use_channels_last(model)
    optimizers = prepare_optimizers(model, training)
    precision = resolve_precision(training.precision, device)
    rows = torch.arange(training.batch_size)
    batch = Batch(source.take(rows).to(device), rows.to(device))

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision is torch.bfloat16):
            losses = model(batch)
        (losses.encoder if losses.adversary is None else losses.encoder + losses.adversary).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return step


def timed(step: Callable[[], None]) -> float:
    """Seconds of a step, of a few."""
    began = time.perf_counter()
    for _ in range(BLOCK):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / BLOCK


def print_rows(folder: Path, title: str) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("", *PROBED, *NORMALITY, "step, ratio", "step, ms"):
        table.add_column(heading, justify="right" if heading else "left")
    took = json.loads((folder / SECONDS).read_text()) if (folder / SECONDS).exists() else {}
    for name in METHODS:
        runs = sorted(path.parent for path in folder.glob(f"{folder_name(name)}-[0-9]*/{run_files.EVALUATION}"))
        results = [result for run in runs for result in read_results(run / run_files.EVALUATION)]
        figures = [
            shown([r.value for r in results if (r.metric, r.layer, r.variant) == (metric, layer, "default")], digits)
            for metric, layer, digits in PROBED.values()
        ]
        found = [json.loads(beside(run).read_text()) for run in runs if beside(run).exists()]
        figures += [shown([one[key] for one in found], 1) for key in NORMALITY]
        table.add_row(name, *figures, *(ratio(took[name], took[PLAIN]) if name in took else ("", "")))
    if (folder / NORMAL).exists():
        normal = json.loads((folder / NORMAL).read_text())
        table.add_row("normal samples", *("" for _ in PROBED), *(shown([normal[key]], 1) for key in NORMALITY), "", "")
    print_table(table, f"Epps-Pulley of a standard normal Y: {NULL:.2f} in the mean")


def shown(values: Sequence[float], digits: int) -> str:
    """The mean, and the deviation where there are several; nothing of none."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread}" if values else ""


def ratio(own: Sequence[float], plain: Sequence[float]) -> tuple[str, str]:
    """The median ratio of a method's steps to the plain recipe's, round by round, with quartiles; and milliseconds."""
    low, middle, high = np.quantile(np.divide(own, plain), (0.25, 0.5, 0.75))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})", f"{1e3 * statistics.median(own):.1f}"


if __name__ == "__main__":
    main()
