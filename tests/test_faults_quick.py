"""The quick run of the faults, told by what each of them tries; `make faults` is the whole one."""

from pathlib import Path

import pytest

from tests.conftest import SEED
from tests.faults.run import FAULTS, tried
from tests.faults.trial import Result, Trial
from tests.kit import services

pytestmark = pytest.mark.slow
Results = dict[str, Result]


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Results:
    """Every fault that a test of this run asks for, some at a time, as they mostly wait."""
    mine = [item for item in request.session.items if item.path == request.path]
    asked = {item.callspec.params["fault"] for item in mine if hasattr(item, "callspec")}
    print(f"TEST_SEED={SEED}")
    trials = [Trial(fault, quick=True, seed=SEED) for fault in FAULTS if fault.name in asked]
    return {result.fault.name: result for result in tried(trials)}


def tries(*faults: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", faults)


def holds(results: Results, fault: str) -> None:
    """No promise was broken, and the fault was really there."""
    result = results[fault]
    if result.lacking:
        services.lacking(services.Missing(result.lacking))
    assert result.violations == []
    assert result.tries > 0


@tries("no-files")
def test_idle_connections_that_take_every_file_lose_nobody(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("crash-intake")
def test_killed_at_any_call_while_storing_it_loses_nobody_and_stores_nobody_twice(
    results: Results, fault: str
) -> None:
    holds(results, fault)


@tries("crash-dispatch")
def test_killed_at_any_call_while_sending_it_sends_nobody_twice_unmarked(
    results: Results, fault: str
) -> None:
    holds(results, fault)


@tries("crash-created", "crash-unclear")
def test_killed_after_upstream_created_the_profile_is_marked_and_not_made_again(
    results: Results, fault: str
) -> None:
    holds(results, fault)


@tries("crash-load")
def test_killed_at_random_moments_under_load_it_loses_nobody(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("crash-part")
def test_only_the_worker_or_only_the_master_is_killed(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("crash-start")
def test_killed_at_any_call_of_its_first_start_it_starts_again(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("power", "power-order")
def test_of_a_power_cut_only_the_last_transaction_bears_the_mark(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("upstream-dies", "upstream-dies-retry")
def test_an_upstream_that_creates_and_dies_is_marked(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("upstream-away")
def test_an_upstream_that_is_away_is_waited_for(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("upstream-flaps")
def test_an_upstream_that_comes_and_goes_loses_nobody(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("crash-quota")
def test_killed_in_a_loop_it_keeps_the_windows(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("disk-full", "disk-enospc", "disk-enospc-long", "disk-full-start")
def test_a_disk_that_is_full_takes_nobody_and_loses_nobody(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("disk-eio-sync", "disk-eio-write")
def test_after_a_failed_sync_nothing_is_acknowledged(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("disk-eio-read", "file-damaged", "file-foreign")
def test_what_cannot_be_read_is_refused_and_left_as_it_is(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("file-wal", "file-shm", "file-read-only", "file-keys")
def test_missing_and_spoilt_files_are_made_again_or_named(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("lock", "lock-start")
def test_a_foreign_lock_is_waited_for_or_told(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("backup")
def test_a_copy_made_under_load_holds_what_was_committed(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("postgres")
def test_a_database_that_goes_away_under_load_loses_nobody(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("file-newer")
def test_a_newer_database_is_refused(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("clock-jumps", "clock-waiting", "clock-down")
def test_a_clock_that_is_set_sends_nothing_early_and_holds_nothing_up(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("sleep-service", "sleep-worker")
def test_a_machine_that_slept_sends_no_burst(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("clock-boot")
def test_after_a_reboot_the_quota_is_still_kept(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("sleep-lease", "sleep-claim")
def test_a_dispatcher_that_oversleeps_is_overtaken(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("stop-load")
def test_ended_under_load_it_loses_nobody(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("stop-stalled")
def test_a_stalled_client_holds_up_no_end(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("restart-retries")
def test_after_a_restart_retries_are_spread_and_fresh_ones_go_first(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("start-port")
def test_a_port_that_is_taken_is_told(results: Results, fault: str) -> None:
    holds(results, fault)


@tries("sends-fail", "everything")
def test_several_faults_at_once_lose_nobody(results: Results, fault: str) -> None:
    holds(results, fault)


def test_every_fault_is_tried_here() -> None:
    here = Path(__file__).read_text()
    assert [fault.name for fault in FAULTS if f'"{fault.name}"' not in here] == []
