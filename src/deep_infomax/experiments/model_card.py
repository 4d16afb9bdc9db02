"""The model card of a run: what is known of its encoder, for people and for the Hugging Face Hub."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from deep_infomax.data.hub import KNOWN
from deep_infomax.encoders import Encoder
from deep_infomax.evaluation import METRICS, Result
from deep_infomax.evaluation.probes import PROBES
from deep_infomax.experiments.run_directory import IN_MEMORY, Settings
from deep_infomax.recipes import METHODS
from deep_infomax.runtime.figures import decimals, spread_text
from deep_infomax.runtime.terminal import printable

_TEMPLATE: Final = """---
{{ card_data }}
---

# {{ name }}

An encoder that gives vectors of {{ encoder.vector_size }} numbers. {{ trained }}

## Use

Inputs are an array of shape ({{ shape }}), with values as they are stored. The encoder normalises them itself.
{%- if encoder.missing is not none %} A missing value is NaN
{%- if encoder.missing != "nan" %} or {{ "%g" | format(encoder.missing) }}{% endif %}.{% endif %}
{%- if encoder.scaling == "log1p" %} They are counts, and not negative.{% endif %}

```python
from deep_infomax import Encoder  # pip install {{ package }}

encoder = Encoder.from_pretrained("{{ repository }}")
vectors = encoder.encode(inputs)
```

Other layers: {{ layers }}, as in `encoder.encode(inputs, layer="{{ first }}")`.
{% if facts %}
## Training

| | |
|---|---|
{% for name, value in facts.items() -%}
| {{ name }} | {{ value }} |
{% endfor %}
{%- endif %}
## Results

{% if rows -%}
Measured on {{ measured }} with the encoder frozen. ± is the spread over seeds of the probe, at one training.

| measure | layer | value | ± | inputs | split | protocol |
|---|---|--:|--:|--:|---|---|
{% for row in rows -%}
| {{ row | join(" | ") }} |
{% endfor %}
{%- else -%}
Nothing was measured.
{% endif %}
## Method
{% if method %}
{{ method.title }}. {{ method.meaning }}
{% endif %}
The software follows Hjelm et al., Learning deep representations by mutual information estimation and maximization,
2019, [arXiv 1808.06670](https://arxiv.org/abs/1808.06670).
{% if not licence %}
## Licence

No licence of these weights is stated.
{% endif -%}
"""


@dataclass(frozen=True)
class Known:
    """What is known of a run."""

    encoder: Encoder
    settings: Settings | None
    """None for a training by `fit`, which keeps none."""
    results: Sequence[Result] = ()
    measured_on: Mapping[str, Any] | None = None
    """Description of the data of the results."""


def model_card(known: Known, repository: str, licence: str | None = None) -> ModelCard:
    """The card of an encoder, with its results as the Hub reads them.

    Paths of this machine stay out of it: of absolute ones the last name is kept.

    Args:
        known: Encoder, settings and results.
        repository: ``owner/name`` on the Hub.
        licence: Of the weights, as the Hub calls it, such as ``mit`` or ``cc-by-4.0``.
    """
    encoder, name = known.encoder, repository.partition("/")[2]
    images = len(encoder.spatial) == 2
    data = ModelCardData(
        license=licence,
        library_name="deep-infomax",
        pipeline_tag="image-feature-extraction" if images else "feature-extraction",
        tags=["deep-infomax", "self-supervised-learning", "representation-learning"],
        datasets=_repositories(known.settings) or None,
        model_name=name,
        eval_results=[_eval_result(result, known, images) for result in known.results] or None,
    )
    layers = [layer for layer in encoder.layer_sizes if layer != "Y"] or ["Y"]
    card: ModelCard = ModelCard.from_template(
        data,
        template_str=_TEMPLATE,
        name=name,
        repository=repository,
        encoder=encoder,
        package="deep-infomax" if encoder.extra is None else f'"deep-infomax[{encoder.extra}]"',
        shape=", ".join(["n", str(encoder.channels), *map(str, encoder.spatial)]),
        layers=", ".join(f"`{layer}`" for layer in layers),
        first=layers[0],
        trained=_trained(known.settings),
        facts={} if known.settings is None else {"encoder": encoder.summary} | _facts(known.settings),
        rows=[_row(result) for result in known.results],
        measured=_cell((known.measured_on or {}).get("name", "its data")),
        licence=licence,
        method=None if known.settings is None else METHODS[known.settings.config.objective.method],
    )
    return card


def without_folders(command: str) -> str:
    """A command in which absolute paths are their last names.

    >>> without_folders("dim train --data /home/me/photos --out=/tmp/run --epochs 3")
    'dim train --data photos --out=run --epochs 3'
    """
    try:
        words = shlex.split(command)
    except ValueError:  # a call from Python
        return command
    return shlex.join(_without_folder(word) for word in words) if command.startswith("dim ") else command


def _without_folder(word: str) -> str:
    flag, joined, value = word.partition("=") if word.startswith("--") else ("", "", word)
    path = PurePath(value)
    return f"{flag}{joined}{path.name if path.is_absolute() or value.startswith('~') else value}"


def _trained(settings: Settings | None) -> str:
    if settings is None:
        return "It was trained by `deep_infomax.fit`."
    described = settings.dataset or {}
    count = described.get("n_unlabelled", described.get("n_train"))
    inputs = f"{count:,} inputs of " if isinstance(count, int) else ""
    return f"It was trained by the recipe `{_cell(settings.recipe)}` on {inputs}{_data_name(settings)}."


def _facts(settings: Settings) -> dict[str, str]:
    """What the card's table says of a training."""
    described, ran_on = settings.dataset or {}, settings.environment or {}
    command = settings.command if settings.command and settings.command.startswith("dim ") else None
    epochs = settings.config.training.epochs
    found = {
        "data": _data_name(settings),
        "inputs": described.get("shape"),
        "test part": described.get("split_rule"),
        "recipe": settings.recipe,
        "epochs": None if epochs is None else f"{epochs:g}",
        "seed": settings.seed,
        "command": command and f"`{without_folders(command)}`",
        "trained on": ran_on.get("device"),
        "versions": f"deep-infomax {ran_on['version']}, torch {ran_on.get('torch')}" if "version" in ran_on else None,
    }
    return {name: _cell(value) for name, value in found.items() if value is not None}


def _data_name(settings: Settings) -> str:
    name = (settings.dataset or {}).get("name") or ("arrays" if settings.data == IN_MEMORY else settings.data)
    return _cell(_without_folder(str(name)))


def _repositories(settings: Settings | None) -> list[str]:
    """Data sets of the Hub that the encoder was trained on."""
    if settings is None:
        return []
    if settings.data in KNOWN:
        return [KNOWN[settings.data].repository]
    return [settings.data.split(":")[1]] if settings.data.startswith("hub:") else []


def _eval_result(result: Result, known: Known, images: bool) -> EvalResult:
    """A result as the Hub reads it."""
    accuracy = result.metric in PROBES or result.metric == "semi_supervised"
    name = _cell((known.measured_on or {}).get("name", "unknown"))
    return EvalResult(
        task_type="image-classification" if images and accuracy else "other",
        dataset_type=KNOWN[name].repository if name in KNOWN else name,
        dataset_name=name,
        dataset_split=result.split,
        metric_type="accuracy" if accuracy else result.metric,
        metric_name=f"{_title(result)}, layer {result.layer} ({result.protocol}{_unit(result)})",
        metric_value=round(result.value, 4),
    )


def _row(result: Result) -> list[str]:
    digits = decimals(result.unit, result.n)
    value = f"{result.value:.{digits}f} {result.unit}".rstrip()
    spread = spread_text(result.spread, digits)
    cells = (_title(result), result.layer, value, spread, f"{result.n:,}", result.split, result.protocol)
    return [_cell(cell) for cell in cells]


def _title(result: Result) -> str:
    title = METRICS[result.metric].title if result.metric in METRICS else result.metric
    return title if result.variant == "default" else f"{title}, {result.variant}"


def _unit(result: Result) -> str:
    return f", {result.unit}" if result.unit else ""


def _cell(text: object) -> str:
    """A text that stays within its cell of a table, and within its line."""
    return printable(" ".join(str(text).split())).replace("|", "\\|")
