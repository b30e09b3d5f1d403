"""How big and how busy a machine is, from what its kernel says."""

from clusterd.runtime.machine import WINDOW_COUNT, Machine

MEMORY = "MemTotal:       16384000 kB\nMemFree: 1 kB\nMemAvailable:    4096000 kB\nHugePages_Total:       0\n"


class Kernel:
    """A kernel whose counters are set."""

    def __init__(self) -> None:
        self.busy, self.idle = 1000, 1000

    def read(self, path: str) -> str:
        if path == "/proc/meminfo":
            return MEMORY
        return f"cpu  {self.busy} 0 0 {self.idle} 0 0 0 0 0 0\ncpu0 1 2 3\n"


def test_the_load_is_an_average_since_the_oldest_measurement_kept() -> None:
    kernel = Kernel()
    machine = Machine(kernel.read)
    first = machine.measure()
    assert (first.memory_mib, first.memory_percent, first.processor_percent) == (16000, 75, 0)
    kernel.busy, kernel.idle = kernel.busy + 30, kernel.idle + 70
    assert machine.measure().processor_percent == 30
    kernel.busy += 100
    assert machine.measure().processor_percent == 65


def test_what_is_older_than_five_minutes_is_forgotten() -> None:
    kernel = Kernel()
    machine = Machine(kernel.read)
    machine.measure()
    kernel.busy += 100_000
    machine.measure()
    for _ in range(WINDOW_COUNT):
        kernel.idle += 100
        last = machine.measure()
    assert last.processor_percent == 0


def test_a_kernel_that_says_nothing_limits_nothing() -> None:
    def read(path: str) -> str:
        raise FileNotFoundError(path)

    measured = Machine(read).measure()
    assert (measured.memory_mib, measured.processor_percent, measured.memory_percent) == (0, 0, 0)
    assert measured.cores >= 1


def test_this_kernel() -> None:
    measured = Machine().measure()
    assert measured.memory_mib > 0
    assert 0 < measured.memory_percent < 100
