"""The rules of the run lease."""

from clusterd.guard.lease import RunLease


def test_no_lease_before_the_first_renewal() -> None:
    lease = RunLease()
    assert not lease.has_passed(10**9)
    assert lease.deadline_ms == 0


def test_lease_moves_forward_only() -> None:
    lease = RunLease()
    assert lease.renew(200, now_ms=100) == ""
    assert lease.renew(150, now_ms=100) == ""
    assert lease.deadline_ms == 200


def test_passed_deadline_is_never_extended() -> None:
    lease = RunLease()
    lease.renew(200, now_ms=100)
    assert lease.has_passed(200)
    assert "ran out 0 ms ago" in lease.renew(500, now_ms=200)
    assert lease.deadline_ms == 200


def test_deadline_in_the_past_is_refused() -> None:
    lease = RunLease()
    assert "passed 1 ms ago" in lease.renew(99, now_ms=100)
    assert lease.deadline_ms == 0
