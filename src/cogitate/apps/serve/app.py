"""The application: its paths, and how mistakes are answered."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from cogitate import __version__
from cogitate.apps.serve.api.chat import BOTH_NAMES, ChatAnswer, ChatForm, Names, plan_chat
from cogitate.apps.serve.api.completions import CompletionAnswer, CompletionForm, plan_completion
from cogitate.apps.serve.api.forms import Form, RefusedError, one_line
from cogitate.apps.serve.api.messages import CountForm, MessageAnswer, MessageForm, plan_message
from cogitate.apps.serve.api.respond import DrawnResponse
from cogitate.apps.serve.api.responses import ResponseAnswer, plan_response
from cogitate.apps.serve.api.responses_in import ResponsesForm
from cogitate.apps.serve.api.tokens import DetokenizeForm, TokenizeForm, detokenize, tokenize
from cogitate.apps.serve.drawing.drawing import Drawing
from cogitate.apps.serve.metrics import Metrics
from cogitate.apps.serve.model import BusyError, Plan, ServedModel
from cogitate.apps.serve.pages import Pages
from cogitate.errors import CheckpointError, CogitateError
from cogitate.web.protect import error_body, key_name

READING_SECONDS = 10.0  # a prompt may take to be made, and may wait before
RETRY_SECONDS = 2

ADMIN = "admin"  # the name of the key that may reload

T = TypeVar("T")
log = logging.getLogger("cogitate.serve")


class ReloadForm(Form):
    """`directory`: the model's own where none is given."""

    model: str
    directory: str | None = None


@dataclass(slots=True)
class Served:
    """What the application works with.

    Attributes:
        load: reads all models; called in a thread when the server runs already.
        weights: directories from which weights may be reloaded, beside each model's own.
        models: by name, once they are read.
        names: under which thinking is sent.
    """

    load: Callable[[], dict[str, ServedModel]]
    metrics: Metrics
    weights: frozenset[Path] = frozenset()
    names: Names = BOTH_NAMES
    models: dict[str, ServedModel] | None = None
    failure: Exception | None = None

    @property
    def state(self) -> Literal["loading", "ok", "failed"]:
        """failed: the models cannot be read, or the thread of an engine has ended."""
        if self.models is None:
            return "loading" if self.failure is None else "failed"
        return "ok" if all(model.loop.alive for model in self.models.values()) else "failed"

    def model(self, name: str) -> ServedModel:
        """Raises RefusedError: it is not there, not yet, or not any more."""
        if self.models is None:
            raise RefusedError("the models are still being read; ask again", status=503)
        if name not in self.models:
            known = ", ".join(self.models)
            raise RefusedError(f"{name!r} is not served; the models are: {known}", parameter="model", status=404,
                               code="model_not_found")  # fmt: skip
        if not self.models[name].loop.alive:
            raise RefusedError(f"the engine of {name!r} has ended: the server has to be started anew", status=503)
        return self.models[name]


def make_app(served: Served, *, on_failure: Callable[[], None] = lambda: None) -> FastAPI:
    """
    Args:
        on_failure: called when the models cannot be read, whatever is the reason; `served.failure` holds it.
    """
    reader = ThreadPoolExecutor(1, thread_name_prefix="prompts")  # one: the bound on a template's memory is the process's

    async def load() -> None:
        try:
            models = await asyncio.to_thread(served.load)
            for model in models.values():
                model.start()
        except Exception as error:  # /health must say it, and who waits for the server must hear of it
            if not isinstance(error, CogitateError):
                log.exception("the models cannot be read")
            served.failure = error
            on_failure()
            return
        served.models = models

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.ensure_future(load())
        with reloading_by_signal(served):
            yield
        loading.cancel()
        for model in (served.models or {}).values():
            model.close()
        reader.shutdown(wait=False, cancel_futures=True)

    app = FastAPI(title="Cogitate", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)

    async def in_reader(work: Callable[[], T]) -> T:
        """Templates and tokenizers run beside the event loop, one at a time."""
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def run() -> T:
            loop.call_soon_threadsafe(begun.set)
            return work()

        future = loop.run_in_executor(reader, run)
        try:
            async with asyncio.timeout(READING_SECONDS):
                await begun.wait()
            async with asyncio.timeout(READING_SECONDS):
                return await future
        except TimeoutError:
            if not begun.is_set():
                raise RefusedError("other requests' prompts take too long to be made; ask again later", status=503) from None
            raise RefusedError(f"the prompt took more than {READING_SECONDS:g} seconds to be made") from None
        finally:
            future.cancel()

    def draw(model: ServedModel, plan: Plan) -> Drawing:
        try:
            return model.draw(plan)
        except BusyError:
            raise RefusedError("too many requests are waiting; ask again later", status=429) from None

    pages = Pages()

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return pages.response("index.html") or Response(status_code=404)

    @app.get("/docs", include_in_schema=False)
    async def description() -> Response:
        return pages.response("api.html") or Response(status_code=404)

    @app.get("/page/{name:path}", include_in_schema=False)
    async def page_file(name: str) -> Response:
        if (response := pages.response(name)) is None:
            raise HTTPException(404)
        return response

    @app.get("/health")
    async def health() -> Response:
        """200 when all models can be asked, 503 while they are read and after a failure."""
        return JSONResponse({"status": served.state}, 200 if served.state == "ok" else 503)

    @app.get("/version")
    async def version() -> dict[str, str]:
        return {"version": __version__}

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The models that can be asked."""
        return {"object": "list", "data": [describe(model) for model in (served.models or {}).values()]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> dict[str, Any]:
        return describe(served.model(name))

    @app.get("/metrics")
    async def metrics() -> Response:
        loops = {name: model.loop for name, model in (served.models or {}).items()}
        return Response(served.metrics.text(loops), media_type="text/plain; version=0.0.4")

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(form: ChatForm) -> Response:
        """The assistant's next turn in a conversation; thinking stands apart from the answer."""
        model = served.model(form.model)
        plan = await in_reader(lambda: plan_chat(form, model))
        answer = ChatAnswer(form, model, drawing := draw(model, plan), served.names)
        return DrawnResponse(drawing, events=answer.events) if form.stream else DrawnResponse(drawing, whole=answer.whole)

    @app.post("/v1/completions", response_model=None)
    async def completions(form: CompletionForm) -> Response:
        """A text goes on."""
        model = served.model(form.model)
        plan = await in_reader(lambda: plan_completion(form, model))
        answer = CompletionAnswer(form, model, drawing := draw(model, plan))
        return DrawnResponse(drawing, events=answer.events) if form.stream else DrawnResponse(drawing, whole=answer.whole)

    @app.post("/v1/messages", response_model=None)
    async def messages(form: MessageForm) -> Response:
        """Anthropic's form of a conversation."""
        model = served.model(form.model)
        plan = await in_reader(lambda: plan_message(form, model))
        answer = MessageAnswer(form, drawing := draw(model, plan))
        return DrawnResponse(drawing, events=answer.events) if form.stream else DrawnResponse(drawing, whole=answer.whole)

    @app.post("/v1/responses", response_model=None)
    async def responses(form: ResponsesForm) -> Response:
        """OpenAI's newer form of a conversation; nothing is stored."""
        model = served.model(form.model)
        plan = await in_reader(lambda: plan_response(form, model))
        answer = ResponseAnswer(form, drawing := draw(model, plan))
        return DrawnResponse(drawing, events=answer.events) if form.stream else DrawnResponse(drawing, whole=answer.whole)

    @app.post("/v1/messages/count_tokens")
    async def count_tokens(form: CountForm) -> dict[str, int]:
        model = served.model(form.model)
        return {"input_tokens": len((await in_reader(lambda: form.prompt(model, form.calls()))).all_ids)}

    @app.post("/tokenize")
    async def tokens_of_text(form: TokenizeForm) -> dict[str, Any]:
        model = served.model(form.model)
        return await in_reader(lambda: tokenize(form, model))

    @app.post("/detokenize")
    async def text_of_tokens(form: DetokenizeForm) -> dict[str, Any]:
        model = served.model(form.model)
        return await in_reader(lambda: detokenize(form, model))

    @app.post("/admin/reload")
    async def reload(form: ReloadForm, request: Request) -> dict[str, Any]:
        """Take over new weights between two tokens; streams go on. Needs the admin key."""
        if key_name(request.scope) != ADMIN:
            raise RefusedError("this needs the admin key", status=403)
        model = served.model(form.model)
        directory = model.directory if form.directory is None else Path(form.directory).resolve()
        if directory not in {model.directory, *served.weights}:
            raise RefusedError("not a directory that was named when the server was started", parameter="directory")
        try:
            await model.reload(directory)
        except CogitateError as error:
            log.error("%s: not reloaded: %s", model.name, error)
            raise RefusedError("the weights cannot be used; the server's log says why", parameter="directory") from error
        return {"model": model.name, "version": model.version}

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        text = f"{error.parameter}: {error}" if error.parameter and not str(error).startswith(error.parameter) else str(error)
        headers = {"Retry-After": str(RETRY_SECONDS)} if error.status in (429, 503) else {}
        content = error_body(error.status, text, parameter=error.parameter, code=error.code)
        return JSONResponse(content, error.status, headers)

    @app.exception_handler(CheckpointError)
    async def template_failed(request: Request, error: CheckpointError) -> Response:
        said = str(error).rpartition("the template failed: ")[2]
        return JSONResponse(error_body(400, f"the model's chat template refuses this: {said}"), 400)

    @app.exception_handler(RequestValidationError)
    async def wrong_form(request: Request, error: RequestValidationError) -> Response:
        message, parameter = one_line(error.errors())
        return JSONResponse(error_body(400, message, parameter=parameter), 400)

    @app.exception_handler(HTTPException)
    async def no_such_path(request: Request, error: HTTPException) -> Response:
        return JSONResponse(error_body(error.status_code, str(error.detail)), error.status_code, error.headers)

    return app


@contextmanager
def reloading_by_signal(served: Served) -> Iterator[None]:
    """SIGHUP reads the weights of all models again, from where they were read; it has no effect in a thread of a test."""

    async def reload() -> None:
        for model in (served.models or {}).values():
            try:
                await model.reload(model.directory)
            except CogitateError as error:
                log.error("%s: not reloaded: %s", model.name, error)
            else:
                log.warning("%s: reloaded, version %d", model.name, model.version)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, tasks, before = asyncio.get_running_loop(), set[asyncio.Task[None]](), signal.getsignal(signal.SIGHUP)
    loop.add_signal_handler(signal.SIGHUP, lambda: tasks.add(asyncio.ensure_future(reload())))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, before)  # by default it would end the process, which nohup does not want


def describe(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.name, "object": "model", "created": model.created, "owned_by": "cogitate",
        "max_model_len": model.max_context, "thinks": model.thinks,
    }  # fmt: skip
