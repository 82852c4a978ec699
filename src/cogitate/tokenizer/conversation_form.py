"""How a conversation stands as tokens before a model: its own chat template, or else R1's form as plain text.

R1's form for a model that has no template (turns as in the corpus; the thinking of earlier turns is left out, as in R1's own
template, and the last turn stands whole):

    User: question
    Assistant: answer without its thinking<end>User: question
    Assistant: <think> thinking </think>
    summary<end>
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cogitate.tokenizer.bpe import Tokenizer
from cogitate.tokenizer.chat_template import FILE, ChatTemplate
from cogitate.tokenizer.tags import LONGEST_TAG
from cogitate.tokenizer.thinking import THINK_CLOSE, THINK_OPEN, begins_inside_thinking
from cogitate.tokenizer.tools.turns import Function, Turn
from cogitate.types import Message

_R1_TEMPLATE = r"""{{- BEGIN -}}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}
{{- message['content'] + '\n' -}}
{%- elif message['role'] == 'user' -%}
{{- 'User: ' + message['content'] + '\n' -}}
{%- elif message['role'] == 'assistant' -%}
{%- set said = message['content'] if loop.last else message['content'].split('</think>')[-1] -%}
{{- 'Assistant: ' + (said | trim) + END -}}
{%- else -%}
{{- raise_exception('roles are system, user and assistant, not ' + message['role']) -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- 'Assistant:' -}}
{%- endif -%}
"""
_PROBE = (Message("user", "question"), Message("assistant", "answer"))


def r1_chat_template(tokenizer: Tokenizer) -> str:
    """The jinja source of R1's form for the control tokens of a tokenizer: what is saved beside a fine-tuned model."""
    begin = "".join(tokenizer.inner.id_to_token(token_id) or "" for token_id in tokenizer.prefix_ids)
    end = tokenizer.inner.id_to_token(tokenizer.end_id)
    source = _R1_TEMPLATE.replace(THINK_CLOSE, tokenizer.tags.thinking[1])
    return source.replace("BEGIN", json.dumps(begin, ensure_ascii=False)).replace("END", json.dumps(end, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class ConversationForm:
    """A template, and how the assistant's turn goes on from the prompt it makes.

    Attributes:
        lead: what the template puts between its prompt and what the assistant says: a space in R1's form, often nothing.
        end_id: the token that ends the assistant's turn.
    """

    template: ChatTemplate
    tokenizer: Tokenizer
    lead: str
    end_id: int

    @classmethod
    def load(cls, directory: Path, tokenizer: Tokenizer) -> ConversationForm:
        """The form of a model directory. Raises CheckpointError where its template cannot be read or fails."""
        template = ChatTemplate.load(directory) or ChatTemplate(r1_chat_template(tokenizer), "R1's form", {})
        prompt, whole = template.prompt_text(_PROBE[:1]), template.prompt_text(_PROBE, add_generation_prompt=False)
        lead, said, tail = whole.removeprefix(prompt).partition(_PROBE[1].content)
        if not whole.startswith(prompt) or not said:  # e.g. the prompt opens the thinking, which an answer has not
            lead, tail = "", ""
        ends = [token_id for text, token_id in tokenizer.control_ids.items() if tail.startswith(text)]
        end_id = next((token_id for token_id in ends if token_id in tokenizer.end_ids), tokenizer.end_id)
        return cls(template, tokenizer, lead, end_id)

    def prompt_ids(
        self,
        messages: Sequence[Turn],
        variables: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Function] = (),
        arguments_as_text: bool = False,
    ) -> list[int]:
        """What the model is given to go on from. Raises CheckpointError where the template refuses these messages.

        Args:
            variables: of the template's own.
            tools, arguments_as_text: as in ChatTemplate.prompt_ids.
        """
        return self.template.prompt_ids(messages, self.tokenizer, variables, tools=tools, arguments_as_text=arguments_as_text)

    def completion_ids(self, content: str, prompt_ids: Sequence[int]) -> list[int]:
        """What the model should say after the prompt, end token included; tags of thinking are what they are to the model.

        A prompt that ends in `<think>` has opened the thinking: the completion then starts inside it. A content that begins
        there, with a closing tag alone, stands as it is; one without thinking closes it at once.
        """
        text, opens = content.strip(), self.tokenizer.tags.thinking[0]
        before = self.tokenizer.decode(prompt_ids[-LONGEST_TAG:])
        if not before.rstrip().endswith(opens):
            text = self.lead + text
        elif text.startswith(THINK_OPEN) or begins_inside_thinking(text):
            text = text.removeprefix(THINK_OPEN) if text.startswith(THINK_OPEN) else content.rstrip()
            text = text if before.endswith(opens) else text.lstrip()
        else:
            text = f"{THINK_CLOSE}\n\n{text}"
        return [*self._with_tags(self.tokenizer.tags.exchange(text)), self.end_id]

    def _with_tags(self, text: str) -> list[int]:
        tags = [tag for tag in self.tokenizer.tags.thinking if tag in self.tokenizer.control_ids]
        ids: list[int] = []
        for piece in re.split(f"({'|'.join(map(re.escape, tags))})", text) if tags else [text]:
            if piece in tags:
                ids.append(self.tokenizer.control_ids[piece])
            elif piece:
                ids += self.tokenizer.encode(piece)
        return ids


def give_chat_template(tokenizer: Tokenizer, directory: Path) -> None:
    """Let a tokenizer be saved with R1's form where the model directory it comes from has no template of its own."""
    if ChatTemplate.load(directory) is None:
        tokenizer.companions[FILE] = r1_chat_template(tokenizer).encode()
