"""Commands that choose among several attempts at a problem."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from cogitate.cli.app import app
from cogitate.cli.options import Model
from cogitate.errors import ConfigError

Method = Literal["majority", "best_of_n", "weighted_vote", "step_beam", "mcts", "self_verification"]
OwnSettings = Annotated[
    list[str] | None,
    typer.Argument(metavar="SECTION.KEY=VALUE", help="Settings, e.g. evaluate.temperature=1 evaluate.max_new_tokens=256"),
]
Tasks = Annotated[str, typer.Option(metavar="TASK,...", help="Built-in tasks and paths of .jsonl files.")]
TASKS = "arithmetic,word_problems"  # of the recipe tiny's those whose answers can be compared
Count = Annotated[int, typer.Option("--problems", min=1, help="How many problems in all.")]
Asked = Annotated[Literal["r1_zero", "chat"], typer.Option(help="How problems are asked.")]
Scorer = Annotated[
    str | None, typer.Option(metavar="DIR", help="A process or outcome model, of a stage of kind process_reward_model.")
]
Score = Annotated[
    Literal["last", "minimum", "product", "mean"] | None,
    typer.Option(help="How the scores of steps become one; as the scorer was made where not given."),
]
StepsOption = Annotated[
    Literal["sentences", "lines", "paragraphs"] | None, typer.Option(help="What ends a step; the scorer's own by default.")
]
StepTokens = Annotated[int, typer.Option(min=1, help="Tokens of a step, at most.")]
Width = Annotated[int, typer.Option(min=1, help="Continuations of each step, of step_beam and mcts.")]
CPuct = Annotated[float, typer.Option(min=0, help="How much mcts counts the policy's priors against values.")]
Value = Annotated[Literal["model", "rollouts"], typer.Option(help="What mcts values steps by.")]
Verifications = Annotated[int, typer.Option(min=1, help="Times that self_verification asks about each solution.")]

# Options that some methods alone read.
READERS = {"width": ("step_beam", "mcts"), "c_puct": ("mcts",), "value": ("mcts",), "verifications": ("self_verification",)}


@app.command()
def search(
    context: typer.Context,
    model: Model,
    settings: OwnSettings = None,
    method: Annotated[Method, typer.Option(help="How an answer is chosen.")] = "majority",
    n: Annotated[
        int, typer.Option("--n", min=1, help="Completions, or candidates of a level; mcts spends what so many cost.")
    ] = 16,
    scorer: Scorer = None,
    score: Score = None,
    tasks: Tasks = TASKS,
    problems: Count = 100,
    prompt: Asked = "r1_zero",
    steps: StepsOption = None,
    step_tokens: StepTokens = 64,
    width: Width = 4,
    c_puct: CPuct = 1.25,
    value: Value = "model",
    verifications: Verifications = 3,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures as JSON.")] = None,
    trees: Annotated[Path | None, typer.Option(metavar="FILE", help="Write every step that was tried as JSON Lines.")] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Write figures and trees as an HTML page.")] = None,
) -> None:
    """Answer problems by one of several attempts, and say what it cost."""
    from cogitate.apps.search.command import search as run
    from cogitate.apps.search.prepare import Searching

    refuse_unread(context, [method])
    options = Searching(
        model, tasks, problems, prompt, scorer, score, steps, settings or [], width, c_puct, value, verifications, step_tokens
    )
    run(options, method, n, out=out, trees=trees, page=page)


@app.command()
def scale(
    context: typer.Context,
    model: Model,
    settings: OwnSettings = None,
    methods: Annotated[str, typer.Option(metavar="METHOD,...", help="Beside majority vote.")] = "majority",
    n: Annotated[int, typer.Option("--n", min=1, help="Measured at 1, 2, 4 ... up to this.")] = 16,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, from that of the settings on.")] = 1,
    budgets: Annotated[
        str, typer.Option(metavar="SHARE,...", help="Thinking budgets, as shares of the natural length: 0.25,0.5,1,1.5,2.")
    ] = "",
    waits: Annotated[int, typer.Option(min=1, help='"Wait"s at most, for budgets above 1.')] = 4,
    scorer: Scorer = None,
    score: Score = None,
    tasks: Tasks = TASKS,
    problems: Count = 100,
    prompt: Asked = "r1_zero",
    steps: StepsOption = None,
    step_tokens: StepTokens = 64,
    width: Width = 4,
    c_puct: CPuct = 1.25,
    value: Value = "model",
    verifications: Verifications = 3,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the figures as JSON.")] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Write curves and one problem's trees as HTML.")] = None,
) -> None:
    """Draw what accuracy costs: every method, and thinking budgets, over tokens."""
    from cogitate.apps.search.prepare import Searching
    from cogitate.apps.search.scale import Scaling
    from cogitate.apps.search.scale import scale as run

    named = [name.strip() for name in methods.split(",") if name.strip()]
    refuse_unread(context, named)
    options = Searching(
        model, tasks, problems, prompt, scorer, score, steps, settings or [], width, c_puct, value, verifications, step_tokens
    )
    run(options, Scaling(named, n, seeds, shares_of(budgets), waits), out=out, page=page)


def refuse_unread(context: typer.Context, methods: Sequence[str]) -> None:
    """Refuse an option that none of these methods reads: it would change nothing."""
    for name, readers in READERS.items():
        given = context.get_parameter_source(name)
        if given is not None and given.name == "COMMANDLINE" and not set(readers) & set(methods):
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} is read by {' and '.join(readers)} alone; leave it out, or take one of them")


def shares_of(text: str) -> list[float]:
    """Numbers above 0."""
    try:
        shares = [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ConfigError(f"--budgets {text}: write numbers such as 0.25,0.5,1,2") from error
    if any(not 0 < share < 100 for share in shares):
        raise ConfigError(f"--budgets {text}: shares of the natural length are above 0 and below 100")
    return shares
