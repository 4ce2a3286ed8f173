"""The trials of speed, small: that they do the work and check it, not how fast."""

from tests.trials import bench


def test_the_trials_do_all_of_their_work_once() -> None:
    told = bench("--smoke", within=240.0)
    assert told.count("| XNovu |") == 2
    assert "beside 4,000 rows of another" in told
    assert "| status |" in told
