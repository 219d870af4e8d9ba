"""How a connector meets a system that is slow, busy or gone: retry, circuit breaker, rate limit, bulkhead,
cancellation, ordered parallel work.

Nothing here knows a protocol; every wait goes through the injected clock and ends early when the work is cancelled.
"""
