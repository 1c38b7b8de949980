"""Settings of the generation service: its back ends, the language model, its prompts and its limits."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from argosy.config.service import ServiceSettings

LEAST_PROMPT_TOKENS = 256
PACKAGED_PROMPT = "answer-1"
"""Version of the packaged prompt for answers."""


class GenerationSettings(ServiceSettings):
    """Settings of the service that answers a question from chunks, with citations."""

    wants: tuple[str, ...] = ("embedding",)
    backend: Literal["extractive", "openai", "llamacpp"] = Field(
        "extractive",
        description="`extractive` quotes the best sentences; `openai` calls an OpenAI-compatible endpoint; `llamacpp` "
        "runs a model file (GGUF) with llama.cpp.",
    )
    model: str = Field(
        "", description="The endpoint's model name (backend `openai`), or the path of a GGUF file (backend `llamacpp`)."
    )
    base_url: str = Field(
        "", description="The endpoint's address up to /v1 (backend `openai`); empty takes OPENAI_BASE_URL."
    )
    max_sentences: int = Field(4, ge=1, le=20, description="Most units (sentences, rows, …) of an extractive answer.")
    prompts: str = Field(
        "",
        description="Folder with your own prompts, `answer.md` and `rewrite.md`; empty uses the packaged ones.",
    )
    context_tokens: int = Field(
        4096,
        ge=512,
        le=2_000_000,
        description="Window of the language model: tokens of the prompt and the answer together. Passages that do not "
        "fit are left out, the last ones first.",
    )
    answer_tokens: int = Field(
        512,
        ge=16,
        le=1_000_000,
        description="Tokens of the window that are kept free for the answer; the back end `llamacpp` ends an answer "
        "there unless the caller sends a lower max_tokens.",
    )
    tokenizer: str = Field(
        "",
        description="Path of the model's tokenizer.json, to count tokens exactly (backend `openai`); empty uses a safe "
        "estimate.",
    )
    first_token_timeout_s: float = Field(
        6.0,
        gt=0,
        le=600,
        description="Time in which the language model must begin its answer; then an extractive answer is given.",
    )
    rewrite_timeout_s: float = Field(
        2.0,
        gt=0,
        le=60,
        description="Time in which the language model may rewrite a follow-up question; then a rule does it.",
    )
    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads of the model (backend `llamacpp`); 0 uses the replica's share of the cores.",
    )
    max_queued_answers: int = Field(
        8,
        ge=0,
        le=10_000,
        description="Answers that wait for the model, which gives one at a time (backend `llamacpp`); further "
        "questions get an extractive answer.",
    )

    @model_validator(mode="after")
    def _model_named(self) -> Self:
        if self.backend == "openai" and not self.model:
            raise ValueError('backend = "openai" needs model; set model to a model that the endpoint serves')
        if self.backend == "llamacpp" and not self.model:
            raise ValueError('backend = "llamacpp" needs model; set model to the path of a GGUF file')
        if self.context_tokens - self.answer_tokens < LEAST_PROMPT_TOKENS:
            raise ValueError(
                f"context_tokens = {self.context_tokens} leaves less than {LEAST_PROMPT_TOKENS} tokens for the prompt "
                f"beside answer_tokens = {self.answer_tokens}; raise context_tokens or lower answer_tokens"
            )
        return self

    def cores_of_one(self, share: float) -> float:
        """Return `scaling.cores` if it is set, else the model's threads with the back end `llamacpp`."""
        if self.backend == "llamacpp":
            return self.scaling.cores or self.threads or max(1, round(share))
        return super().cores_of_one(share)
