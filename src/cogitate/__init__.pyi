"""The types of what `__init__.py` imports when it is first used."""

from cogitate.front_door.comparison import compare as compare
from cogitate.front_door.completion import Completion as Completion
from cogitate.front_door.grading import grade as grade
from cogitate.front_door.model import Model as Model
from cogitate.front_door.model import generate as generate
from cogitate.front_door.model import load as load
from cogitate.front_door.run_handle import Run as Run
from cogitate.front_door.running import run as run

__version__: str
__all__ = ["Completion", "Model", "Run", "compare", "generate", "grade", "load", "run"]
