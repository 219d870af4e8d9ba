import threading

import pytest

from penstock.connectors.resilience.cancel import Cancellation
from penstock.connectors.resilience.parallel import in_order
from penstock.errors import TransientError


def own_threads():
    return [t for t in threading.enumerate() if t.name.startswith("penstock-parallel")]


def test_results_come_in_the_order_of_the_items_whoever_finishes_first():
    gates = [threading.Event() for _ in range(4)]

    def work(number, _):
        if number + 1 < len(gates):
            assert gates[number + 1].wait(10)  # each waits for the one after it
        gates[number].set()
        return number

    assert list(in_order(work, range(4), concurrency=4)) == [0, 1, 2, 3]
    assert own_threads() == []


def test_no_items_no_results():
    assert list(in_order(lambda item, _: item, [], concurrency=3)) == []


def test_none_is_an_item_and_a_result():
    assert list(in_order(lambda item, _: item, [None, None], concurrency=2)) == [None, None]


def test_items_are_pulled_no_further_than_the_look_ahead():
    pulled = []

    def items():
        for number in range(100):
            pulled.append(number)
            yield number

    results = in_order(lambda item, _: item, items(), concurrency=2, look_ahead=3)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(pulled) == 7  # four dealt with, three ahead
    results.close()
    assert own_threads() == []


def test_an_endless_list_of_items_ends_when_the_caller_says_so():
    stop = threading.Event()

    def pages():
        number = 0
        while not stop.is_set():
            yield number
            number += 1

    seen = []
    for result in in_order(lambda item, _: item, pages(), concurrency=3, look_ahead=4):
        seen.append(result)
        if result == 9:
            stop.set()
    assert seen == list(range(13))


def test_the_first_error_in_order_ends_it_and_cancels_the_rest():
    cancelled = []

    def work(item, cancellation):
        if item == 1:
            raise ValueError("bad item")
        if item > 1:
            block = threading.Event()
            with cancellation.breaker(block.set):
                cancelled.append(block.wait(10))
        return item

    results = in_order(work, range(50), concurrency=3)
    assert next(results) == 0
    with pytest.raises(ValueError, match="bad item"):
        next(results)
    assert all(cancelled)
    assert own_threads() == []


def test_an_error_of_the_items_ends_it_cleanly():
    def items():
        yield 1
        raise TransientError("NET-110", "no more")

    with pytest.raises(TransientError):
        list(in_order(lambda item, _: item, items(), concurrency=2))
    assert own_threads() == []


def test_cancelling_from_outside_reaches_the_calls():
    outer = Cancellation()
    started = threading.Event()

    def work(_, cancellation):
        block = threading.Event()
        started.set()
        with cancellation.breaker(block.set):
            assert block.wait(10)
        cancellation.check()

    results = in_order(work, range(3), concurrency=1, within=outer)
    threading.Thread(target=lambda: started.wait(10) and outer.cancel()).start()
    with pytest.raises(TransientError) as caught:
        next(results)
    assert caught.value.code == "NET-140"


def test_an_exception_of_the_callers_body_leaves_no_thread():
    def consume():
        for _ in in_order(lambda item, _: item, range(100), concurrency=4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    import gc

    gc.collect()
    assert own_threads() == []
