import pytest

from tests.receiver import listening


@pytest.fixture
def receiver():
    with listening() as one:
        yield one
