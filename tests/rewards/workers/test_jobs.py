"""Which job goes to which worker, and how long it may take."""

from cogitate.rewards.workers.jobs import CODE_SECONDS, KNOWN_SECONDS, LEFT_TO_OTHERS, Job, JobQueues, Place, code_seconds


def job(index: int, home: int, *, place: Place) -> Job:
    return Job(index, home, str(index), b"", place, audited=False, code_seconds=1.0)


def next_index(queues: JobQueues, home: int, *, place: Place, busy: float = 0.0) -> int | None:
    queue = queues.for_home(home, place=place, busy_seconds=lambda home: busy)
    return queue[0].index if queue else None


def test_a_worker_takes_its_own_jobs_first_and_others_where_it_has_none() -> None:
    queues = JobQueues(2)
    queues.add(job(0, 0, place="confined"))
    queues.add(job(1, 1, place="confined"))
    assert [next_index(queues, home, place="confined") for home in (0, 1)] == [0, 1]
    own = queues.for_home(0, place="confined", busy_seconds=lambda home: 0.0)
    assert own is not None
    own.popleft()
    assert next_index(queues, 0, place="confined") == 1
    assert next_index(queues, 0, place="code") is None


def test_programs_are_left_to_the_worker_that_may_know_their_verdicts() -> None:
    queues = JobQueues(2)
    for index in range(LEFT_TO_OTHERS):
        queues.add(job(index, 0, place="code"))
    assert next_index(queues, 1, place="code") is None
    assert next_index(queues, 1, place="code", busy=KNOWN_SECONDS + 1) == 0
    queues.add(job(LEFT_TO_OTHERS, 0, place="code"))
    assert next_index(queues, 1, place="code") == 0


def test_a_job_that_is_put_back_is_the_next() -> None:
    queues = JobQueues(1)
    queues.add(job(1, 0, place="confined"))
    queues.put_back(job(0, 0, place="confined"))
    assert next_index(queues, 0, place="confined") == 0


def test_the_backstop_of_code_leaves_room_for_the_limits_of_a_problem() -> None:
    assert code_seconds({}) == CODE_SECONDS + 90
    assert code_seconds({"limits": {"total_seconds": 500}}) == CODE_SECONDS + 500
    assert code_seconds({"limits": "a field of somebody else's"}) == CODE_SECONDS + 90
