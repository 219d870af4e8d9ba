import threading

from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.resilience.rate_limit import Rate, RateLimiter
from penstock.testing.clock import FakeClock


def test_permits_come_at_the_rate_after_the_burst():
    clock = FakeClock()
    limiter = RateLimiter(Rate(permits=10, seconds=1, burst=3), clock)
    waits = [round(limiter.reserve(), 6) for _ in range(6)]
    assert waits == [0, 0, 0, 0.1, 0.2, 0.3]


def test_an_idle_bucket_fills_to_the_burst_and_no_further():
    clock = FakeClock()
    limiter = RateLimiter(Rate(permits=1, seconds=1, burst=2), clock)
    clock.advance(1000)
    assert [limiter.reserve() for _ in range(4)] == [0, 0, 1, 2]


def test_acquire_waits_on_the_clock():
    clock = FakeClock()
    limiter = RateLimiter(Rate(permits=2, seconds=60), clock)
    for _ in range(3):
        limiter.acquire()
    assert clock.monotonic() == 60


def test_without_a_rate_nothing_waits():
    clock = FakeClock()
    limiter = RateLimiter(None, clock)
    for _ in range(1000):
        limiter.acquire()
    assert clock.sleeps == []


def test_a_pause_holds_everybody_back_with_or_without_a_rate():
    for rate in (None, Rate(100)):
        clock = FakeClock()
        limiter = RateLimiter(rate, clock)
        limiter.pause(30)
        limiter.pause(10)  # a shorter one does not shorten it
        limiter.acquire()
        assert clock.monotonic() == 30


def test_a_pause_that_comes_while_waiting_is_waited_for_too():
    clock = FakeClock()
    limiter = RateLimiter(Rate(1), clock)
    limiter.acquire()

    def sleep(seconds):
        if clock.monotonic() == 0:
            limiter.pause(20)
        clock.sleep(seconds)

    limiter.acquire(sleep)
    assert clock.monotonic() == 20


def test_threads_share_one_bucket():
    clock = FakeClock()
    limiter = RateLimiter(Rate(permits=1, seconds=1), clock)
    waits = []
    threads = [threading.Thread(target=lambda: waits.append(limiter.reserve())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == list(range(20))


@given(
    st.floats(0.1, 100),
    st.integers(1, 10),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_window_ever_holds_more_than_burst_plus_rate(permits, burst, gaps):
    clock = FakeClock()
    limiter = RateLimiter(Rate(permits=permits, seconds=1, burst=burst), clock)
    taken = []
    for gap in gaps:
        clock.advance(gap)
        limiter.acquire()
        taken.append(clock.monotonic())
    for start in range(len(taken)):
        for end in range(start, len(taken)):
            span = taken[end] - taken[start]
            assert end - start + 1 <= burst + permits * span + 1e-3
