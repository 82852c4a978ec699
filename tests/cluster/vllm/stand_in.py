"""A process that answers as child.py does, without vLLM: each completion is its seed's last digit, again and again."""

import json
import os
import signal
import sys
from typing import Any

version = 0
waiting: dict[str, list[Any]] = {}
stale = "--stale" in sys.argv  # new weights do not arrive, whatever is said
for line in sys.stdin:
    order = json.loads(line)
    answer: dict[str, object] = {}
    if order["do"] == "start":
        version = order["version"]
    elif order["do"] == "load":
        version = version if stale else order["version"]
        answer = {"version": order["version"]}
    elif order["do"] == "submit":
        waiting |= {each[0]: each for each in order["requests"]}
    elif order["do"] == "step":
        done = []
        for name, prompt, _, _, tokens, seed, stops in waiting.values():
            if prompt[0] == 9:
                os.kill(os.getpid(), signal.SIGKILL)
            ids = [seed % 10] * tokens
            reason, by = ("stop", stops[0]) if stops else ("length", None)
            done.append([name, ids, [-0.5] * tokens, reason, by, [[version, tokens]]])
        waiting, answer = {}, {"done": done}
    elif order["do"] == "partial":
        answer = {"tokens": {name: [waiting[name][5] % 10] for name in order["ids"]}}
    elif order["do"] == "abort":
        answer = {"done": [[name, [1], [-0.1], None, None, []] for name in order["ids"][:1]]}
        waiting = {name: each for name, each in waiting.items() if name not in order["ids"]}
    print(json.dumps(answer), flush=True)
