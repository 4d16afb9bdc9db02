"""Estimators that the benchmark compares with read easy samples right, and refuse what they cannot read."""

import pytest

from deep_infomax.mutual_information import TASKS

peers = pytest.importorskip("information_peers", reason="the benchmarks are not part of this distribution")


@pytest.mark.parametrize(
    ("peer", "task"),
    [
        ("scikit-learn", "normal-bivariate"),
        ("scikit-learn", "label-normal-10"),
        ("ksg-3", "normal-bivariate"),
        ("ksg-3", "ring"),
        ("cca", "normal-bivariate"),
        ("cca", "rotated-10-10000"),
    ],
)
def test_peers_read_what_they_are_made_for(peer, task):
    sample = TASKS[task].sample(3000, seed=1000)
    assert peers.PEERS[peer](sample.x, sample.y, 0) == pytest.approx(TASKS[task].truth, abs=0.08)


def test_scikit_learn_reads_words_as_classes():
    sample = TASKS["words-40"].sample(3000, seed=1000)
    assert peers.scikit_learn(sample.x, sample.y, 0) == pytest.approx(TASKS["words-40"].truth, abs=0.1)


@pytest.mark.parametrize(
    ("peer", "task"), [("scikit-learn", "identity-10"), ("ksg-3", "words-40"), ("cca", "words-40")]
)
def test_what_a_peer_cannot_read_is_refused(peer, task):
    sample = TASKS[task].sample(100, seed=1000)
    with pytest.raises(ValueError, match=r"coordinate|words"):
        peers.PEERS[peer](sample.x, sample.y, 0)
