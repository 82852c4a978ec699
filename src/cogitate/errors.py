"""The error tree. Each class also inherits the builtin it refines; the command line prints one line and exits with 2."""


class CogitateError(Exception):
    """Anything a user can mend. The message says what was wrong, where (file, line, key) and what to do."""


class ConfigError(CogitateError, ValueError):
    """A setting that does not exist, has the wrong type, or contradicts another one."""


class DataError(CogitateError, ValueError):
    """A data file that cannot be used: names the file and, for JSON Lines, the line number."""


class ArtifactError(CogitateError, ValueError):
    """An artifact that is missing, half-written, damaged, or was made by other settings than it is asked for."""


class CheckpointError(CogitateError, ValueError):
    """A checkpoint or model directory that cannot be read: names the file and the key."""


class NotFiniteError(CogitateError, ArithmeticError):
    """A model's logits are NaN or infinite; the message names the completion."""


class RunInUseError(CogitateError, RuntimeError):
    """Another live process holds the run directory; the message names its pid."""


class TrainingDivergedError(CogitateError, ArithmeticError):
    """A loss became NaN or infinite; the message names the step and the last good checkpoint."""


class SandboxUnavailableError(CogitateError, RuntimeError):
    """No isolation for model-written code can be had on this machine."""


class EndpointError(CogitateError, OSError):
    """A model of somebody else's, behind a URL, that cannot be asked: names the URL and what it answered."""


class ClusterError(CogitateError, RuntimeError):
    """A process of a cluster has failed, or too many have died: names it, and why."""


class Interrupted(CogitateError):  # noqa: N818 - an interruption is not an error
    """SIGINT or SIGTERM arrived and the stage has written its checkpoint; `exit_code` is 130 or 143."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code
