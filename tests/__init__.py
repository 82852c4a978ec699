import os

# Workers of pytest-xdist share the processors: each uses its part of them, and so do the programs that tests start. Threads of
# both that wait for a turn would cost more than they compute. Torch and OpenMP read it when they are loaded, which is later.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if WORKERS > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))
