"""``base.journal``: doit's state survives kills, and one run at a time works in a project."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest
from fake_project import in_a_fork

from lambdabuild.core.errors import CannotWrite, Locked
from lambdabuild.engine.base.journal import GARBAGE_LINES, Acquired, Journal, ProjectLock, check_own

VALUES = "_values_:"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def written(file: Path, *tasks: str) -> Journal:
    journal = Journal(str(file))
    for task in tasks:
        journal.set(task, VALUES, {"inputs": f"of {task}"})
    return journal


def tasks_in(file: Path) -> list[str]:
    return [line.split("\t")[0] for line in file.read_text().splitlines()]


def test_what_is_set_is_there_for_the_next_run_though_nobody_ended_this_one(file: Path) -> None:
    written(file, "make:F")
    assert Journal(str(file)).record("make:F") == {"inputs": "of make:F"}


def test_a_last_line_without_its_value_is_passed_over(file: Path) -> None:
    written(file, "make:F").dump()
    file.write_text(file.read_text() + "make:G\t_valu")
    journal = Journal(str(file))
    assert (journal.in_("make:F"), journal.in_("make:G")) == (True, False)


def test_a_value_that_a_kill_has_torn_is_none(file: Path) -> None:
    file.write_text('make:F\t_values_:\t{"inputs": "of m')
    assert Journal(str(file)).record("make:F") is None


def test_the_record_after_a_torn_line_does_not_continue_it(file: Path) -> None:
    file.write_text('make:F\t_values_:\t{"inputs": "of m')
    written(file, "make:G").dump()
    assert Journal(str(file)).record("make:G") == {"inputs": "of make:G"}


def test_the_record_before_a_torn_line_counts_no_more_than_the_line_says(file: Path) -> None:
    written(file, "make:F").dump()
    file.write_text(file.read_text() + 'make:F\t_values_:\t{"inp')
    assert Journal(str(file)).record("make:F") is None, "it was about to be another, so it is asked anew"


def test_an_equal_value_is_not_written_again(file: Path) -> None:
    written(file, "make:F", "make:F").dump()
    assert tasks_in(file) == ["make:F"]


def test_what_another_run_added_is_known_after_a_reload(file: Path) -> None:
    mine, theirs = written(file, "make:F"), Journal(str(file))
    theirs.set("make:G", VALUES, {"inputs": "x"})
    assert not mine.in_("make:G")
    mine.reload()
    assert mine.in_("make:G")


def test_a_task_that_is_removed_is_forgotten_by_the_next_run(file: Path) -> None:
    written(file, "make:F", "make:G").remove("make:F")
    journal = Journal(str(file))
    assert (journal.in_("make:F"), journal.in_("make:G")) == (False, True)


def test_a_task_that_is_removed_and_runs_again_is_known(file: Path) -> None:
    written(file, "make:F").remove("make:F")
    written(file, "make:F")
    assert Journal(str(file)).record("make:F") == {"inputs": "of make:F"}


def test_all_tasks_can_be_forgotten(file: Path) -> None:
    written(file, "make:F", "make:G").remove_all()
    assert not any(map(Journal(str(file)).in_, ("make:F", "make:G")))


def test_to_remove_what_is_not_there_writes_nothing(file: Path) -> None:
    Journal(str(file)).remove("make:F")
    assert file.read_text() == ""


def test_a_run_with_nothing_to_do_writes_nothing(file: Path) -> None:
    journal = Journal(str(file))
    journal.rest()
    journal.set("make:F", VALUES, {"inputs": "x"})
    assert not file.exists()


def test_a_journal_of_mostly_garbage_is_written_anew_with_what_counts(file: Path) -> None:
    journal = Journal(str(file))
    for number in range(GARBAGE_LINES + 3):
        journal.set("make:F", VALUES, {"inputs": number})
    journal.set("make:G", VALUES, {"inputs": "x"})
    journal.dump()
    assert tasks_in(file) == ["make:F", "make:G"]
    assert Journal(str(file)).record("make:F") == {"inputs": GARBAGE_LINES + 2}


def test_a_journal_with_little_garbage_is_left_as_it_is(file: Path) -> None:
    journal = Journal(str(file))
    for number in range(3):
        journal.set("make:F", VALUES, {"inputs": number})
    journal.dump()
    assert len(tasks_in(file)) == 3


def test_a_steps_result_is_its_values_so_that_they_are_kept_once(file: Path) -> None:
    journal = written(file, "make:F")
    journal.set("make:F", "result:", {"inputs": "of make:F"})
    journal.dump()
    assert len(tasks_in(file)) == 1
    assert Journal(str(file)).get("make:F", "result:") == {"inputs": "of make:F"}


def test_a_tab_in_a_value_does_not_end_it(file: Path) -> None:
    Journal(str(file)).set("make:F", VALUES, {"inputs": "a\tb\nc"})
    assert Journal(str(file)).record("make:F") == {"inputs": "a\tb\nc"}


def test_a_journal_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal").symlink_to(tmp_path / "precious")
    with pytest.raises(CannotWrite, match="is a link"):
        check_own(str(tmp_path))


def test_a_missing_journal_is_not_refused(tmp_path: Path) -> None:
    check_own(str(tmp_path))


# the lock of a project


def held_by_another(path: Path, holder: int) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(file, str(holder).encode())
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def test_the_first_run_does_not_wait_and_nobody_died(tmp_path: Path) -> None:
    assert ProjectLock(str(tmp_path / "lock")).acquire() == Acquired()


def test_a_run_that_holds_the_lock_may_take_it_again(tmp_path: Path) -> None:
    ProjectLock(str(tmp_path / "lock")).acquire()
    assert ProjectLock(str(tmp_path / "lock")).acquire(0) == Acquired()


def test_a_fork_has_the_lock_of_its_parent(tmp_path: Path) -> None:
    lock = ProjectLock(str(tmp_path / "lock"))
    lock.acquire()
    assert in_a_fork(lambda: lock.acquire(0) == Acquired())


def test_the_run_after_one_that_was_killed_knows_it(tmp_path: Path) -> None:
    lock = ProjectLock(str(tmp_path / "lock"))
    assert in_a_fork(lambda: lock.acquire() == Acquired()), "it ends without giving the lock back"
    assert lock.acquire() == Acquired(after_death=True)


def test_a_second_run_names_the_first_and_gives_up_after_its_time(tmp_path: Path) -> None:
    file, holders = held_by_another(tmp_path / "lock", 4711), list[int]()
    with pytest.raises(Locked, match="process 4711"):
        ProjectLock(str(tmp_path / "lock")).acquire(0, holders.append)
    os.close(file)
    assert holders == [4711]


def test_a_second_run_that_waited_for_the_first_knows_it(tmp_path: Path) -> None:
    file = held_by_another(tmp_path / "lock", 4711)
    threading.Timer(0.05, os.close, [file]).start()
    assert ProjectLock(str(tmp_path / "lock")).acquire(10).waited
