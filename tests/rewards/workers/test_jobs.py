"""Which job goes to which worker, and how long it may take."""

from cogitate.rewards.workers.jobs import CODE_SECONDS, KNOWN_SECONDS, LEFT_TO_OTHERS, Job, JobQueues, code_seconds


def job(index: int, home: int, *, runs_code: bool) -> Job:
    return Job(index, home, str(index), b"", runs_code, audited=False, code_seconds=1.0)


def next_index(queues: JobQueues, home: int, *, runs_code: bool, busy: float = 0.0) -> int | None:
    queue = queues.for_home(home, runs_code=runs_code, busy_seconds=lambda home: busy)
    return queue[0].index if queue else None


def test_a_worker_takes_its_own_jobs_first_and_others_where_it_has_none() -> None:
    queues = JobQueues(2)
    queues.add(job(0, 0, runs_code=False))
    queues.add(job(1, 1, runs_code=False))
    assert [next_index(queues, home, runs_code=False) for home in (0, 1)] == [0, 1]
    own = queues.for_home(0, runs_code=False, busy_seconds=lambda home: 0.0)
    assert own is not None
    own.popleft()
    assert next_index(queues, 0, runs_code=False) == 1
    assert next_index(queues, 0, runs_code=True) is None


def test_programs_are_left_to_the_worker_that_may_know_their_verdicts() -> None:
    queues = JobQueues(2)
    for index in range(LEFT_TO_OTHERS):
        queues.add(job(index, 0, runs_code=True))
    assert next_index(queues, 1, runs_code=True) is None
    assert next_index(queues, 1, runs_code=True, busy=KNOWN_SECONDS + 1) == 0
    queues.add(job(LEFT_TO_OTHERS, 0, runs_code=True))
    assert next_index(queues, 1, runs_code=True) == 0


def test_a_job_that_is_put_back_is_the_next() -> None:
    queues = JobQueues(1)
    queues.add(job(1, 0, runs_code=False))
    queues.put_back(job(0, 0, runs_code=False))
    assert next_index(queues, 0, runs_code=False) == 0


def test_the_backstop_of_code_leaves_room_for_the_limits_of_a_problem() -> None:
    assert code_seconds({}) == CODE_SECONDS + 90
    assert code_seconds({"limits": {"total_seconds": 500}}) == CODE_SECONDS + 500
    assert code_seconds({"limits": "a field of somebody else's"}) == CODE_SECONDS + 90
