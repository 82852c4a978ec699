"""usage: use_llm.py URL: Simon Willison's command line, which is told of the server in a file"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

with tempfile.TemporaryDirectory() as home:
    place = f"- model_id: micro\n  model_name: micro\n  api_base: {sys.argv[1]}/v1\n  api_key_name: none\n"
    Path(home, "extra-openai-models.yaml").write_text(place)
    settings = ["-m", "micro", "-o", "seed", "1", "-o", "max_tokens", "40", "-o", "temperature", "0", "--key", "none"]

    def said(*options: str) -> str:
        command = [sys.executable, "-m", "llm", "Say a number.", *settings, *options]
        return subprocess.run(
            command, env={**os.environ, "LLM_USER_PATH": home}, capture_output=True, text=True, check=True
        ).stdout

    print(json.dumps({"same": said() == said("--no-stream")}))
