"""One file for each library that takes part: a process that loads once and does rounds of work as requests come in.

Each runs as a module (`python -m benchmarks.peers.runners.NAME`) in the environment of its library, where Cogitate is not
installed: apart from `ours` and `verdicts`, a runner imports its library, the standard library and this package.
"""
