"""Fixtures shared by the tests of recipes."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache of rendered worlds for all runs of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDEPTH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
