"""The order of inputs in shards, groups held in memory, and trainings that stop and go on within them."""

import os
import signal
import sys
from bisect import bisect_right
from dataclasses import replace
from functools import partialmethod
from itertools import count

import numpy as np
import pytest
import torch

from deep_infomax.data import Batches, CropAndFlip, Source, fingerprint, shards, statistics
from deep_infomax.data.dataset import joined
from deep_infomax.data.shards import Ahead, ShardedInputs
from deep_infomax.encoders import convolutional
from deep_infomax.recipes import ObjectiveConfig, build_objective
from deep_infomax.training import InterruptedTrainingError, TrainingConfig, fit
from deep_infomax.training.state import TrainingState

SIZES = [5, 9, 1, 7, 6, 2]
N = sum(SIZES)
INPUTS = np.random.default_rng(0).integers(0, 256, (N, 2, 4, 4), np.uint8)
STARTS = np.cumsum([0, *SIZES])


class Store:
    """Shards of an array; counts what is decoded."""

    def __init__(self):
        self.decoded = []

    def read(self, pieces):
        rows = [STARTS[number] + rows for number, rows in pieces]
        self.decoded.append([number for number, _ in pieces])
        return INPUTS[np.concatenate([np.arange(0), *rows])]


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def source(store):
    inputs = ShardedInputs(SIZES, store.read, (2, 4, 4), np.dtype(np.uint8))
    return Source(inputs, torch.arange(N) % 3, ("a", "b", "c"), "noise", "train")


@pytest.fixture
def plain(source):
    return replace(source, inputs=torch.from_numpy(INPUTS))


@pytest.mark.parametrize("kind", ["tensors", "a memory map and a tensor", "shards and a memory map"])
def test_two_sources_are_read_as_one(kind, source, plain, tmp_path):
    others = np.random.default_rng(1).integers(0, 256, (11, 2, 4, 4), np.uint8)
    np.save(tmp_path / "others.npy", others)
    mapped = replace(plain, inputs=np.load(tmp_path / "others.npy", mmap_mode="r"), labels=None, split="unlabelled")
    tensor = replace(plain, inputs=torch.from_numpy(others), labels=None, split="unlabelled")
    first, second = {
        "tensors": (tensor, plain), "a memory map and a tensor": (mapped, plain),
        "shards and a memory map": (source, mapped),
    }[kind]  # fmt: skip
    both = joined(first, second)
    expected = torch.from_numpy(np.concatenate([INPUTS, others] if first is source else [others, INPUTS]))
    assert (len(both), both.shape, both.nbytes, both.labels) == (N + 11, (2, 4, 4), expected.nbytes, None)
    assert torch.equal(both.take(torch.arange(N + 11)), expected)
    assert torch.equal(both.take(torch.tensor([40, 2, 2, 20])), expected[[40, 2, 2, 20]])
    assert len(both.take(torch.arange(0))) == 0
    assert fingerprint(both) == fingerprint(replace(plain, inputs=expected, labels=None))
    for one, other in zip(statistics(both), statistics(replace(plain, inputs=expected, labels=None)), strict=True):
        assert torch.equal(one, other)
    order = both.order(seed=3, epoch=1).permutation
    assert torch.equal(order.sort().values, torch.arange(N + 11))
    for resident_bytes in (0, 10**6):
        found = Batches(both, 5, 3, "cpu", resident_bytes=resident_bytes)
        for step in range(2 * found.steps_per_epoch):
            assert torch.equal(found.batch(step).inputs, expected[found.index(step)])


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(shards, "GROUP_BYTES", 12 * 2 * 4 * 4)  # twelve inputs


def batches(source, **arguments):
    return Batches(source, **({"batch_size": 4, "seed": 3, "device": "cpu", "resident_bytes": 0} | arguments))


def shards_of(positions):
    return np.searchsorted(STARTS, np.asarray(positions), side="right") - 1


# The order


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_an_epoch_is_a_permutation_in_groups_of_whole_shards(source, seed, epoch):
    order = source.order(seed, epoch)
    assert order.permutation.sort().values.tolist() == list(range(N))
    groups = [set(shards_of(part)) for part in np.split(order.permutation.numpy(), order.ends[:-1])]
    assert sorted(shard for group in groups for shard in group) == list(range(len(SIZES)))
    assert all(sum(SIZES[shard] for shard in group) <= 12 for group in groups)
    assert order.ends[-1] == N


def test_the_order_is_a_function_of_seed_and_epoch(source, store):
    again = replace(source, inputs=ShardedInputs(SIZES, store.read, (2, 4, 4), np.dtype(np.uint8)))
    first, second = source.order(3, 5), again.order(3, 5)
    assert torch.equal(first.permutation, second.permutation)
    assert first.ends == second.ends
    assert not torch.equal(first.permutation, source.order(3, 6).permutation)
    assert not torch.equal(first.permutation, source.order(4, 5).permutation)


def test_groups_hold_different_shards_in_every_epoch(source):
    firsts = {
        frozenset(shards_of(order.permutation[: order.ends[0]])) for order in map(source.order, [0] * 9, range(9))
    }
    assert len(firsts) > 1


def test_a_shard_larger_than_a_group_is_one(source, monkeypatch):
    monkeypatch.setattr(shards, "GROUP_BYTES", 1)
    order = source.order(0, 0)
    assert sorted(np.diff([0, *order.ends])) == sorted(SIZES)


def test_inputs_without_shards_keep_the_order_that_they_had(plain):
    order = plain.order(3, 5)
    assert order.permutation.tolist() == np.random.default_rng([3, 5]).permutation(N).tolist()
    assert order.ends == (N,)


# Values


def test_what_is_indexed_is_what_the_shards_have(source):
    for index in (np.array([30 - 1, 0, 7, 7, 14]), slice(3, 17), slice(None), slice(0, 0)):
        np.testing.assert_array_equal(source.inputs[index], INPUTS[index])


def test_only_the_shards_of_what_is_indexed_are_read(source, store):
    source.take(torch.tensor([0, 29]))
    assert store.decoded == [[0, 5]]


def test_subsets_and_windows_read_nothing_and_show_the_same(source, plain, store):
    index = torch.tensor([1, 4, 5, 20, 29])
    seen = source.selected(index).centre_crop(2)
    assert store.decoded == []
    assert seen.inputs.sizes.tolist() == [2, 1, 1, 1]
    assert torch.equal(seen.take(torch.arange(5)), plain.selected(index).centre_crop(2).inputs)
    assert torch.equal(seen.labels, plain.selected(index).labels)


def test_a_sample_reads_whole_shards_from_everywhere():
    read = []

    def read_pieces(pieces):
        read.extend(number for number, _ in pieces)
        return np.concatenate([np.full((len(rows), 1, 1), number, np.int32) for number, rows in pieces])

    source = Source(ShardedInputs([10] * 1000, read_pieces, (1, 1), np.dtype(np.int32)), None, None, "many", "train")
    source.sample(40)
    assert sorted(set(read)) == list(range(0, 1000, 125))
    read.clear()
    fingerprint(source)
    assert len(set(read)) == 103  # of ten inputs each, for 1,024
    assert len(source.candidates(10**6)) == 10_000


def test_statistics_and_fingerprint_of_few_inputs_are_those_of_the_plain_source(source, plain):
    for one, other in zip(statistics(source), statistics(plain), strict=True):
        assert torch.equal(one, other)
    assert fingerprint(source) == fingerprint(plain)


def test_a_copy_of_evenly_spaced_inputs_lies_in_memory(source, plain, store):
    few = source.evenly_spaced(10)
    assert len(store.decoded) == 1
    assert torch.equal(few.inputs, plain.evenly_spaced(10).inputs)


# Batches


@pytest.mark.parametrize("batch_size", [1, 4, 7, 30])
def test_a_batch_from_groups_is_what_the_source_has_at_its_index(source, plain, batch_size):
    streamed = batches(source, batch_size=batch_size)
    for step in range(3 * streamed.steps_per_epoch):
        batch = streamed.batch(step)
        assert torch.equal(batch.inputs, plain.inputs[batch.index])
        assert torch.equal(batch.labels, plain.labels[batch.index])


def test_batches_are_by_number_whatever_was_read_before(source, plain):
    forward, other = batches(source), batches(source)
    ahead = [forward.batch(step).inputs for step in range(20)]
    for step in (19, 0, 12, 11, 3):
        assert torch.equal(other.batch(step).inputs, ahead[step])


def test_in_memory_the_same_batches_come_in_the_same_order(source):
    streamed, resident = batches(source), batches(source, resident_bytes=None)
    assert streamed.resident is None
    assert resident.resident is not None
    for step in range(15):
        assert torch.equal(streamed.batch(step).inputs, resident.batch(step).inputs)


def test_processes_share_out_the_batch_of_one_and_decode_their_own_part(source):
    one = batches(source, batch_size=6)
    three = [batches(source, batch_size=6, rank=rank, world=3) for rank in range(3)]
    for step in range(12):
        parts = [part.batch(step) for part in three]
        assert torch.equal(one.batch(step).inputs, torch.cat([part.inputs for part in parts]))
    group = one.source.order(3, 0)
    decoded = [part._decoded((0, 0)).rows for part in three]
    assert torch.cat(decoded).sort().values.tolist() == group.permutation[: group.ends[0]].sort().values.tolist()


def test_every_shard_is_decoded_once_an_epoch_and_two_groups_are_held(source, store, monkeypatch):
    held, most = set(), []
    read = Batches._decoded

    def decoded(self, group):
        held.intersection_update(self._groups._values)
        held.add(group)
        most.append(len(held))
        return read(self, group)

    monkeypatch.setattr(Batches, "_decoded", decoded)
    streamed = batches(source, batch_size=1)
    for step in range(2 * N):
        streamed.batch(step)
    assert max(most) == 2
    assert all(sum(SIZES[shard] for shard in group) <= 12 for group in store.decoded)
    epochs = [shard for group in store.decoded for shard in group]
    assert sorted(epochs[: len(SIZES)]) == sorted(epochs[len(SIZES) : 2 * len(SIZES)]) == list(range(len(SIZES)))


def test_the_next_group_is_made_while_one_is_used():
    made = []
    ahead = Ahead(lambda key: made.append(key) or -key)
    assert ahead.get(1, following=2) == -1
    assert ahead.get(2, following=3) == -2
    ahead._maker.shutdown(wait=True)
    assert made == [1, 2, 3]


def test_what_could_not_be_made_is_made_anew():
    failures = iter([OSError("away")])

    def make(key):
        for failure in failures:
            raise failure
        return key

    ahead = Ahead(make)
    with pytest.raises(OSError, match="away"):
        ahead.get(1, following=1)
    assert ahead.get(1, following=1) == 1


# Trainings


TRAINING = TrainingConfig(epochs=2, batch_size=4, device="cpu", log_every=5)
STEPS = 2 * (N // 4)


def trained(source, monkeypatch, stop_at=None, **run):
    """An encoder trained with crops and flips from groups of shards, interrupted after a step if so asked."""
    monkeypatch.setattr(Batches, "__init__", partialmethod(Batches.__init__, resident_bytes=0))
    calls = count(1)

    def transform(inputs):
        if next(calls) == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        return CropAndFlip(3, flip=True)(inputs)

    torch.manual_seed(7)
    encoder = convolutional(channels=2, spatial=(3, 3), dim=4)
    objective = build_objective(ObjectiveConfig(units=8), encoder)
    fit(encoder, objective, source, TRAINING, seed=5, progress=False, transform=transform, **run)
    return encoder


@pytest.mark.parametrize("stop_at", [1, 3, 4, 7, STEPS - 1])
def test_a_training_stopped_within_an_epoch_goes_on_to_the_same_weights(source, monkeypatch, tmp_path, stop_at):
    with monkeypatch.context() as patch:
        expected = trained(source, patch)
    run = {"out": tmp_path / "run"}
    with monkeypatch.context() as patch, pytest.raises(InterruptedTrainingError, match=f"step {stop_at} of {STEPS}"):
        trained(source, patch, stop_at, **run)
    with monkeypatch.context() as patch:
        found = trained(source, patch, resume=True, **run)
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


def test_those_trainings_stop_within_groups_and_at_borders(source):
    ends = source.order(5, 0).ends
    assert {bisect_right(ends, 4 * stop_at) for stop_at in (1, 3, 4)} == {0, 1, 2}
    assert 4 * 4 in ends


def test_a_shard_that_cannot_be_read_ends_a_training_with_its_step(source, store, monkeypatch, tmp_path):
    late = source.order(5, 1)
    group = set(shards_of(late.permutation[late.ends[0] : late.ends[1]]))
    first = N // 4 + late.ends[0] // 4 + 1
    read, failing = store.read, []

    def broken(pieces):
        if failing and {number for number, _ in pieces} == group:
            raise OSError("shard c.tar cannot be reached")
        return read(pieces)

    source.inputs.read = broken
    saved = TrainingState.contents

    def contents(state):
        failing.append(True)
        return saved(state)

    monkeypatch.setattr(TrainingState, "contents", contents)
    monkeypatch.setattr(sys.modules[__name__], "TRAINING", replace(TRAINING, checkpoint_seconds=0))
    sentence = f"the inputs of step {first} cannot be read: shard c.tar cannot be reached; the last good checkpoint is"
    with monkeypatch.context() as patch, pytest.raises(ValueError, match=sentence):
        trained(source, patch, out=tmp_path / "run")
    source.inputs.read = read
    with monkeypatch.context() as patch:
        found = trained(source, patch, out=tmp_path / "run", resume=True)
    with monkeypatch.context() as patch:
        expected = trained(source, patch)
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name
