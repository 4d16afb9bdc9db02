"""Missing values of a data set: counted once it is read, told, and passed on to what reads its sources.

Sources keep what stands for them (`Source.missing`), and their inputs stay as they are stored.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, NamedTuple

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from deep_infomax.data.dataset import Dataset, Source
from deep_infomax.data.options import DataOptions
from deep_infomax.runtime.chunks import at_a_time
from deep_infomax.runtime.missing import Missing, is_missing

RULE: Final = "missing_rule"
"""The entry of a description that says how many values are missing."""
NODATA: Final = "nodata"
"""The entry that says which number files declare to be no data."""
_CHUNK: Final = 1024
_NAMED: Final = 3
_CHANNELS: Final = 12
"""Channels of which a description gives the share."""
_SAMPLE: Final = 4096
"""Inputs that the means of channels are read of at most."""


class _Count(NamedTuple):
    """The missing values of a source."""

    by_channel: Int[Tensor, " channels"]
    inputs: int
    """Inputs that lack any."""
    whole: list[int]
    """Inputs that have no value at all."""


def surveyed(dataset: Dataset, options: DataOptions) -> Dataset:
    """The same data, whose sources say what stands for missing values where any is missing.

    Raises:
        ValueError: An input has no value at all, or the number that files declare is asked for and they declare none.

    >>> x = torch.tensor([[[1.0, float("nan")]], [[3.0, 4.0]]])
    >>> train = Source(x, None, None, "gaps", "train")
    >>> surveyed(Dataset("gaps", train, None, None, {}), DataOptions(missing="nan")).description[RULE]
    '1 of 4 values (25.0 %) in 1 of 2 inputs; filled with the centre of their channel, and masked'
    """
    declared = dataset.description.get(NODATA)
    if options.gap is None:
        if declared is None:
            return dataset
        said = f"{declared}, read as a number; `data_options.missing` nodata reads it as a missing value"
        return replace(dataset, description={**dataset.description, NODATA: said})
    if RULE in dataset.description:
        return dataset
    missing = _meant(options.gap, declared, dataset.name)
    sources = [source for source in (dataset.train, dataset.test, dataset.unlabelled) if source is not None]
    counts = [_count(source, missing) for source in sources]
    for source, count in zip(sources, counts, strict=True):
        if count.whole:
            raise ValueError(_without_values(source, count.whole))
    description = {**dataset.description, RULE: _said(sources, counts)}
    if not any(count.inputs for count in counts):
        return replace(dataset, description=description)
    return replace(
        dataset,
        train=replace(dataset.train, missing=missing),
        test=dataset.test and replace(dataset.test, missing=missing),
        unlabelled=dataset.unlabelled and replace(dataset.unlabelled, missing=missing),
        description=description,
    )


def filling(source: Source) -> Callable[[Num[Tensor, "k channels *spatial"]], Num[Tensor, "k channels *spatial"]]:
    """A function that puts the mean of the channel in the place of missing values; of others nothing changes.

    It is for what reads inputs without an encoder, which fills them itself.
    """
    if (missing := source.missing) is None:
        return lambda inputs: inputs
    means = _means(source, missing)

    def fill(inputs: Num[Tensor, "k channels *spatial"]) -> Float[Tensor, "k channels *spatial"]:
        values = inputs if inputs.is_floating_point() else inputs.float()
        centre = means.to(values).view(-1, *(1 for _ in source.shape[1:]))
        return torch.where(is_missing(inputs, missing), centre, values)

    return fill


def _means(source: Source, missing: Missing) -> Float[Tensor, " channels"]:
    values = source.sample(at_a_time(source.shape, _SAMPLE)).cpu()
    values = values.double().masked_fill(is_missing(values, missing), torch.nan).movedim(1, 0).flatten(1)
    return values.nanmean(dim=1).nan_to_num(nan=0.0)


def _meant(wanted: Missing | Literal["nodata"], declared: str | int | None, name: str) -> Missing:
    if wanted != "nodata":
        return wanted
    if declared is None:
        raise ValueError(
            f"the files of {name} declare no number for no data; give the number itself as `data_options.missing`"
        )
    try:
        return float(declared)
    except ValueError:
        raise ValueError(
            f"the files of {name} declare several numbers for no data ({declared}); give them one, or the number that "
            "counts as `data_options.missing`"
        ) from None


def _count(source: Source, missing: Missing) -> _Count:
    by_channel, inputs, whole = torch.zeros(source.shape[0], dtype=torch.long), 0, list[int]()
    for rows in torch.arange(len(source)).split(at_a_time(source.shape, _CHUNK)):
        gone = is_missing(source.take(rows), missing).cpu()
        by_channel += gone.movedim(1, 0).flatten(1).sum(dim=1)
        inputs += int(gone.flatten(1).any(dim=1).sum())
        whole += rows[gone.flatten(1).all(dim=1)].tolist()
    return _Count(by_channel, inputs, whole)


def _without_values(source: Source, whole: list[int]) -> str:
    files = None if source.files is None else source.files()
    names = [f"input {row}" if files is None else files[row] for row in whole[:_NAMED]]
    more = ", ..." if len(whole) > _NAMED else ""
    return (
        f"{len(whole):,} of {len(source):,} inputs of {source.name} {source.split} have no value at all "
        f"({', '.join(names)}{more}); remove them"
    )


def _said(sources: list[Source], counts: list[_Count]) -> str:
    n, per_channel = sum(map(len, sources)), math.prod(sources[0].shape[1:])
    by_channel = torch.stack([count.by_channel for count in counts]).sum(dim=0)
    if not by_channel.any():
        return "no value is missing"
    each = n * per_channel
    values, gone = each * len(by_channel), int(by_channel.sum())
    text = (
        f"{gone:,} of {values:,} values ({_percent(gone, values)}) in {sum(c.inputs for c in counts):,} of {n:,} inputs"
    )
    if len(by_channel) > 1:
        shares = [_percent(count, each) for count in by_channel[:_CHANNELS].tolist()]
        text += f", by channel {', '.join(shares)}{', ...' if len(by_channel) > _CHANNELS else ''}"
    return f"{text}; filled with the centre of their channel, and masked"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"
