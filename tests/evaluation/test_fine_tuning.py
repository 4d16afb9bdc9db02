from pathlib import Path

import pytest
import torch
from torch import nn

from deep_infomax.data import Dataset, Source
from deep_infomax.encoders import TappedEncoder, convolutional
from deep_infomax.evaluation import evaluate, fine_tuning
from deep_infomax.evaluation.fine_tuning import labelled_part, semi_supervised


def silent(task: str, done: int, total: int) -> None:
    pass


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_tuning, "LEAST_STEPS", 40)


def series(n: int, seed: int, split: str) -> Source:
    """Waves of three frequencies in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    waves = torch.sin(torch.arange(32) * (labels[:, None] + 1) / 3)
    inputs = (waves + torch.randn(n, 32, generator=generator))[:, None]
    return Source(inputs, labels, ("slow", "middle", "fast"), "waves", split)


def test_more_labels_are_worth_more_and_the_encoder_itself_stays_as_it_was() -> None:
    train, test = series(600, 0, "train"), series(300, 1, "test")
    torch.manual_seed(0)
    encoder = convolutional(channels=1, spatial=(32,), dim=4).eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    seeds = {1.0: [0], 0.1: [0, 1], 0.01: [0]}
    found = {share: semi_supervised(encoder, "conv", train, test, some, silent, share) for share, some in seeds.items()}
    means = {share: sum(outcome.value for outcome in outcomes) / len(outcomes) for share, outcomes in found.items()}
    assert means[1.0] > 85
    assert means[1.0] > means[0.1] > means[0.01] > 34
    assert [outcomes[0].details for outcomes in found.values()] == [{"labels": n} for n in (600, 60, 6)]
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not encoder.training
    again = semi_supervised(encoder, "conv", train, test, [1], silent, 0.1)
    assert again[0].value == found[0.1][1].value


def test_the_whole_encoder_is_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the layer Y, all its parameters take part."""
    train, test = series(60, 0, "train"), series(30, 1, "test")
    encoder = convolutional(channels=1, spatial=(32,), dim=4).requires_grad_(False)
    built: list[nn.Module] = []
    make = fine_tuning._Network
    monkeypatch.setattr(fine_tuning, "_Network", lambda *a: built.append(make(*a)) or built[-1])
    semi_supervised(encoder, "Y", train, test, [0], silent)
    own = dict(encoder.named_parameters())
    assert all(not torch.equal(tuned, own[name]) for name, tuned in built[0].encoder.named_parameters())


def test_a_share_is_taken_of_every_class() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 3)
    rows = labelled_part(labels, 0.1)
    assert labels[rows].bincount().tolist() == [5, 3, 1]
    assert len(rows.unique()) == len(rows)
    assert labelled_part(labels, 1.0).sort().values.tolist() == list(range(83))


def test_an_evaluation_has_all_shares_at_the_last_convolution(tmp_path: Path) -> None:
    data = Dataset("waves", series(120, 0, "train"), series(30, 1, "test"), None, {})
    results = evaluate(convolutional(channels=1, spatial=(32,)), data, ["semi_supervised"], seeds=1, out=tmp_path)
    assert [(r.layer, r.variant, r.details) for r in results] == [
        ("conv", variant, [{"labels": n}]) for variant, n in (("default", 120), ("10%", 12), ("1%", 3))
    ]


def test_an_encoder_without_that_layer_is_told_how_to_name_one() -> None:
    module = nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(128, 4))
    encoder = TappedEncoder(module, local="0", vector="2", channels=1, spatial=(32,))
    data = Dataset("waves", series(40, 0, "train"), series(30, 1, "test"), None, {})
    with pytest.raises(ValueError, match="semi_supervised is measured at conv, and this encoder has Y; choose one"):
        evaluate(encoder, data, ["semi_supervised"])
