"""LangChain's Bedrock models, with their own settings: `endpoint_url` and `bedrock_api_key`, or the AWS pair."""

import importlib.metadata
import os

from botocore.exceptions import ClientError
from langchain_aws import BedrockEmbeddings, ChatBedrock, ChatBedrockConverse

from checks import (
    CLAUDE, CLAUDE_ARN, MODEL, PROMPT, THROTTLED, THROTTLED_MESSAGE, UNKNOWN, UNKNOWN_MESSAGE, URL, WRONG_KEY,
    WRONG_KEY_MESSAGE, WRONG_SECRET_MESSAGE, answer_of, expect, expect_in, expect_raises, run,
)

BEARER = os.environ["MODE"].startswith("bearer")
KEY = os.environ["VIRTUAL_KEY"]


def credentials(key=KEY):
    if BEARER:
        return {"bedrock_api_key": key}
    return {"aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": key}


def converse(model, key=KEY, **settings):
    return ChatBedrockConverse(model=model, endpoint_url=URL, **credentials(key), **settings)


def call():
    expect(converse(MODEL).invoke(PROMPT).content, answer_of(MODEL))
    invoke = ChatBedrock(model=CLAUDE, endpoint_url=URL, **credentials())
    expect(invoke.invoke(PROMPT).content, answer_of(CLAUDE))
    # This class has no setting for a bearer; it takes the one of the environment.
    pair = {} if BEARER else credentials()
    embeddings = BedrockEmbeddings(model_id="amazon.titan-embed-text-v2:0", endpoint_url=URL, **pair)
    expect(len(embeddings.embed_query(PROMPT)), 1024)


def stream():
    texts = [chunk.text for chunk in converse(MODEL).stream(PROMPT)]
    expect("".join(texts), answer_of(MODEL))
    expect(len(texts) > 2, True)


def error():
    raised = expect_raises(ClientError, lambda: converse(UNKNOWN, provider="anthropic").invoke(PROMPT))
    expect(raised.response["Error"], {"Code": "ValidationException", "Message": UNKNOWN_MESSAGE})
    raised = expect_raises(ClientError, lambda: converse(MODEL, WRONG_KEY).invoke(PROMPT))
    expect_in(WRONG_KEY_MESSAGE if BEARER else WRONG_SECRET_MESSAGE, raised.response["Error"]["Message"])


def throttle():
    raised = expect_raises(ClientError, lambda: converse(THROTTLED).invoke(PROMPT))
    expect(raised.response["Error"], {"Code": "ThrottlingException", "Message": THROTTLED_MESSAGE})


def arn():
    expect(converse(CLAUDE_ARN, provider="anthropic").invoke(PROMPT).content, answer_of(CLAUDE))


VERSION = importlib.metadata.version("langchain-aws")
run(VERSION, {"call": call, "stream": stream, "error": error, "throttle": throttle, "arn": arn})
