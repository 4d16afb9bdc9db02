"""Pieces of work side by side."""

import threading

import pytest
import torch

from deep_infomax.runtime.threads import side_by_side


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_as_many_run_at_a_time_as_asked_for(two_threads):
    together = threading.Barrier(2, timeout=60)

    def piece():
        together.wait()  # ends only if another one runs meanwhile
        return threading.current_thread(), torch.get_num_threads()

    found = side_by_side(iter([piece] * 4), 2)
    assert {threads for _, threads in found} == {1}
    assert len({thread for thread, _ in found}) == 2
    assert torch.get_num_threads() == 2


def test_results_are_in_order_and_pieces_are_asked_for_in_this_thread(two_threads):
    second_ran, asked = threading.Event(), []

    def pieces():
        for number in range(5):
            asked.append(threading.current_thread())
            yield lambda number=number: (second_ran.wait(60) if number == 0 else second_ran.set(), number)[1]

    assert side_by_side(pieces(), 2) == [0, 1, 2, 3, 4]
    assert set(asked) == {threading.current_thread()}


def test_an_error_is_raised_and_no_more_pieces_are_asked_for(two_threads):
    asked = []

    def pieces():
        for number in range(100):
            asked.append(number)
            yield lambda number=number: 1 // (number - 3)

    with pytest.raises(ZeroDivisionError):
        side_by_side(pieces(), 2)
    assert len(asked) < 10
    assert torch.get_num_threads() == 2
