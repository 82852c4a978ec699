import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, pathlib, torch
import cogitate.model.transformer
library = ctypes.CDLL(str(pathlib.Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
detect = library.mkl_vml_serv_cpu_detect
start = ctypes.cast(detect, ctypes.c_void_p).value
code = ctypes.string_at(start, 6)
assert code[:2] == bytes((0x8B, 0x05)), "unknown code"  # mov eax, [rip + offset]
found = ctypes.c_int.from_address(start + 6 + int.from_bytes(code[2:], "little", signed=True)).value
print(found, detect())
"""


def test_the_kind_of_processor_is_known_to_mkl_before_two_threads_can_ask_for_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    if any(words in done.stderr for words in ("undefined symbol", "cannot open shared object", "unknown code")):
        pytest.skip("this torch has no MKL whose state can be read")
    assert done.returncode == 0, done.stderr
    known, answer = map(int, done.stdout.split())
    assert known == answer != -1
