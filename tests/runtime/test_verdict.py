"""Sentences about what was found, by the figures that they stand for."""

import pytest

from deep_infomax.runtime.verdict import Figure, verdict


def figures(metric="mlp", n=500, variant="default", **values):
    return [Figure(metric, variant, layer, value, n, 64) for layer, value in values.items()]


def test_nothing_is_said_without_floors():
    assert verdict([]) == []
    assert verdict(figures(Y=90.0, conv=95.0)) == []
    assert verdict(figures(raw=90.0)) == []


@pytest.mark.parametrize(
    ("own", "n", "outcome"),
    [
        (92.8, 500, "above"),
        (70.0, 500, "below"),
        (82.0, 500, "level"),
        (82.0, 50_000, "above"),
        (78.0, 50_000, "below"),
    ],
)
def test_a_difference_counts_beyond_two_standard_errors(own, n, outcome):
    [first, *_] = verdict(figures(n=n, Y=own, raw=60.0, pca=80.0))
    assert first.endswith(f"Y is {outcome}.")


def test_the_probe_is_chosen_before_any_figure_is_known():
    found = figures("linear", Y=99.0, raw=20.0) + figures("knn", Y=80.0, raw=75.4, pca=90.0)
    said = verdict(found)
    assert said[0] == (
        "Y, 64 numbers an input: 80.0 %; best floor: principal components 90.0 % (knn). Y is below, above by linear."
    )
    assert said[1] == "By linear: Y 99.0 %, raw input 20.0 %."


def test_where_y_loses_there_is_something_to_try():
    said = verdict(figures(Y=60.0, conv=96.0, fc=91.0, raw=95.0, untrained=50.0))
    assert said[-1] == (
        "To try: more epochs, a wider Y, another recipe. The layer conv reads 96.0 %. "
        "Until then, take the floor: raw input."
    )
    assert "conv" not in verdict(figures(Y=60.0, conv=94.0, raw=95.0))[-1]
    assert not any("To try" in sentence for sentence in verdict(figures(Y=90.0, raw=50.0)))


def test_shares_of_labels_and_the_untrained_encoder():
    found = figures(Y=90.0, raw=50.0, untrained=55.0) + figures("few-labels", Y=80.0, raw=40.0)
    found += figures("few-labels", variant="1%", Y=43.4, raw=13.0)
    said = verdict(found)
    assert "untrained 55.0" not in said[0]  # it is the best floor, and stands there already
    assert said[0].startswith("Y, 64 numbers an input: 90.0 %; best floor: untrained encoder 55.0 % (mlp)")
    assert "With a tenth of the labels: Y 80.0 %, raw input 40.0 %." in said
    assert "With a hundredth of the labels: Y 43.4 %, raw input 13.0 %." in said


def test_other_metrics_are_passed_over():
    assert verdict(figures("semi_supervised", Y=90.0, raw=50.0)) == []
