"""Options shared by all tests."""

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("explore", print_blob=True)
settings.load_profile("same")
"""What was green stays green on the next machine; what nobody has tried yet is looked for by `make explore`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--regenerate", action="store_true", help="write the expected traces of tests/scenarios anew; review the diff"
    )
