"""What stands out among vectors: what was planted is found."""

import numpy as np
import pytest
import torch

from deep_infomax.evaluation.exploration import (
    Neighbourhood,
    duplicates,
    isolation,
    neighbourhood,
    scaled,
    to_label,
)
from deep_infomax.evaluation.miniatures import miniatures
from deep_infomax.runtime.clusters import clusters


def scattered(n: int, d: int = 8) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, d)).astype(np.float32)


def blobs(sizes: list[int], d: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Groups far apart, and the group of each row."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    return (20 * np.eye(len(sizes), d)[group] + scattered(len(group), d)).astype(np.float32), group


def different(n: int) -> list[bytes]:
    return [bytes([row // 256, row % 256]) for row in range(n)]


def test_neighbours_are_those_of_plain_loops() -> None:
    x = scattered(60)
    found = neighbourhood(x, 4)
    for row in range(len(x)):
        distances = [np.inf if other == row else np.linalg.norm(x[row] - x[other]) for other in range(len(x))]
        assert found.nearest[row].tolist() == np.argsort(distances)[:4].tolist()
        assert found.distance[row] == pytest.approx(np.sort(distances)[:4], abs=1e-4)


def test_no_input_is_its_own_neighbour_however_many_copies_there_are() -> None:
    found = neighbourhood(np.repeat(scattered(3), 20, axis=0), 8)
    assert found.nearest.shape == (60, 8)
    assert not (found.nearest == np.arange(60)[:, None]).any()


def test_few_inputs_have_all_others_for_neighbours() -> None:
    assert neighbourhood(scattered(3), 8).nearest.shape == (3, 2)


def test_planted_duplicates_are_found_and_nothing_else() -> None:
    x = scattered(300)
    x[7] = x[250]  # equal in Y and in every value
    x[20] = x[120] + 0.01  # nearly equal in Y
    contents = different(300)
    contents[7] = contents[250]
    found = duplicates(neighbourhood(x, 8), contents)
    assert found.pairs.tolist() == [[7, 250], [20, 120]]
    assert found.equal.tolist() == [True, False]
    assert found.distance[0] == 0
    assert 0 < found.distance[1] < 0.05


def test_copies_are_paired_with_the_first_and_count_as_one_beside_others() -> None:
    x = scattered(100)
    x[[10, 11, 12]] = x[9]
    x[50] = x[9] + 0.01
    contents = different(100)
    contents[10] = contents[11] = contents[12] = contents[9]
    found = duplicates(neighbourhood(x, 8), contents)
    assert found.pairs.tolist() == [[9, 10], [9, 11], [9, 12], [9, 50]]
    assert found.equal.tolist() == [True, True, True, False]


def test_pairs_are_found_where_every_input_has_a_copy() -> None:
    x = np.repeat(scattered(60), 2, axis=0)
    found = duplicates(neighbourhood(x, 8), [bytes([row // 2]) for row in range(120)])
    assert found.pairs.tolist() == [[2 * row, 2 * row + 1] for row in range(60)]
    assert found.equal.all()


def test_equal_vectors_have_the_distance_0() -> None:
    x = np.repeat(1000 + scattered(100), 2, axis=0)
    assert not neighbourhood(x, 1).distance.any()


def test_there_are_no_duplicates_among_scattered_inputs() -> None:
    assert len(duplicates(neighbourhood(scattered(300), 8), different(300)).pairs) == 0


def test_planted_outliers_come_first() -> None:
    x = scattered(200)
    x[[3, 77]] = [[15.0] * 8, [-30.0] * 8]
    figures = isolation(neighbourhood(x, 8))
    assert np.argsort(-figures)[:2].tolist() == [77, 3]
    assert figures[3] > 5
    assert np.median(figures) == pytest.approx(1)


def test_isolation_of_copies_alone_is_zero() -> None:
    assert isolation(Neighbourhood(np.zeros((4, 2)), np.zeros((4, 2), np.int64))).tolist() == [0, 0, 0, 0]


def test_clusters_are_the_planted_groups_the_largest_first() -> None:
    x, group = blobs([20, 60, 40])
    found = clusters(x)
    assert found.tolist() == np.array([2, 0, 1])[group].tolist()


@pytest.mark.parametrize("n", [2, 3])
def test_what_has_no_clusters_is_one(n: int) -> None:
    assert set(clusters(np.repeat(scattered(1), n, axis=0)).tolist()) == {0}


def test_what_to_label_covers_all_clusters_the_largest_first() -> None:
    x, group = blobs([30, 80, 10, 50])
    found = to_label(x, np.ones(len(x), bool), 4)
    assert group[found.rows].tolist() == [1, 3, 0, 2]
    assert found.stands_for.tolist() == [80, 50, 30, 10]


def test_what_to_label_is_chosen_among_the_unlabelled_and_lies_in_their_middle() -> None:
    x, group = blobs([40, 40])
    among = np.zeros(80, bool)
    among[:30] = True
    [row] = to_label(x, among, 1).rows
    assert row == np.argmin(np.linalg.norm(x[:30] - x[:30].mean(axis=0), axis=1))
    assert set(group[to_label(x, np.zeros(80, bool), 2).rows].tolist()) == {0, 1}


def test_no_more_are_chosen_than_differ() -> None:
    found = to_label(np.repeat(scattered(3), 5, axis=0), np.ones(15, bool), 50)
    assert found.stands_for.tolist() == [5, 5, 5]


def test_scaled_vectors_have_the_mean_0_and_the_deviation_1_and_constants_stay() -> None:
    x = scattered(100) * 7 + 3
    x[:, 2] = 5
    found = scaled(x)
    assert np.delete(found, 2, axis=1).std(axis=0) == pytest.approx(1, abs=1e-5)
    assert np.abs(found.mean(axis=0)).max() < 1e-5
    assert not found[:, 2].any()


def test_miniatures_average_images_cut_volumes_and_shorten_series() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert miniatures(image, 2).ravel().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert miniatures(image, 64).tolist() == image.tolist()
    volume = torch.arange(5.0).reshape(1, 1, 5, 1, 1).expand(1, 1, 5, 3, 3)
    assert np.unique(miniatures(volume, 8)).tolist() == [2]
    assert miniatures(torch.zeros(2, 5, 1000), 8).shape == (2, 3, 96)
    assert miniatures(torch.zeros(2, 2, 6, 6), 8).shape == (2, 1, 6, 6)
