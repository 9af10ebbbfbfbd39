"""The OpenAI SDK on Bedrock's OpenAI routes: bearer from OPENAI_BASE_URL and OPENAI_API_KEY, the pair through the SDK's
own Bedrock provider (AWS_BEDROCK_BASE_URL), which signs for bedrock-mantle."""

import os

import openai
from openai import OpenAI

from checks import (
    OPENAI_MODEL, PROMPT, THROTTLED, THROTTLED_MESSAGE, UNKNOWN, WRONG_KEY, WRONG_KEY_MESSAGE, WRONG_SECRET_MESSAGE,
    answer_of, expect, expect_in, expect_raises, run,
)

BEARER = os.environ["MODE"].startswith("bearer")
MESSAGES = [{"role": "user", "content": PROMPT}]


def client(key=os.environ["VIRTUAL_KEY"]):
    if BEARER:
        return OpenAI(api_key=key, max_retries=1)
    from openai.providers import bedrock  # pylint: disable=import-outside-toplevel
    pair = {"access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "secret_access_key": key}
    return OpenAI(provider=bedrock(region=os.environ["AWS_REGION"], **pair), max_retries=1)


def create(model, with_client=None, **settings):
    return (with_client or client()).chat.completions.create(model=model, messages=MESSAGES, **settings)


def call():
    expect(create(OPENAI_MODEL).choices[0].message.content, answer_of(OPENAI_MODEL))
    expect_in(OPENAI_MODEL, [model.id for model in client().models.list()])


def stream():
    chunks = list(create(OPENAI_MODEL, stream=True, stream_options={"include_usage": True}))
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    expect("".join(texts), answer_of(OPENAI_MODEL))
    expect(len(texts) > 1 and chunks[-1].usage.completion_tokens > 1, True)


def error():
    raised = expect_raises(openai.NotFoundError, lambda: create(UNKNOWN))
    expect_in(UNKNOWN, str(raised))
    raised = expect_raises(openai.AuthenticationError, lambda: create(OPENAI_MODEL, client(WRONG_KEY)))
    expect_in(WRONG_KEY_MESSAGE if BEARER else WRONG_SECRET_MESSAGE, str(raised))


def throttle():
    raised = expect_raises(openai.RateLimitError, lambda: create(THROTTLED))
    expect_in(THROTTLED_MESSAGE, str(raised))


run(openai.__version__, {"call": call, "stream": stream, "error": error, "throttle": throttle})
