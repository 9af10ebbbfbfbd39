"""boto3, as it comes out of the environment: endpoints from AWS_ENDPOINT_URL_*, the key from AWS_BEARER_TOKEN_BEDROCK or
from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. In mode `header`, dummy AWS keys and the virtual key in a header."""

import json
import os

import boto3
from botocore.exceptions import ClientError

from checks import (
    CLAUDE, CLAUDE_ARN, MODEL, PROMPT, RUNTIME_ARN, THROTTLED, THROTTLED_MESSAGE, UNKNOWN, UNKNOWN_MESSAGE, WRONG_KEY,
    WRONG_KEY_MESSAGE, WRONG_SECRET_MESSAGE, answer_of, expect, expect_in, expect_raises, run,
)

MODE = os.environ["MODE"]
MESSAGES = [{"role": "user", "content": [{"text": PROMPT}]}]
CLAUDE_BODY = {
    "anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}],
}


def client(service, key=os.environ.get("VIRTUAL_KEY")):
    made = boto3.client(service)
    if MODE == "header":
        def add_key(request, **_):
            request.headers["litellm_user_api_key"] = key
        made.meta.events.register(f"before-send.{service}.*", add_key)
    return made


runtime = client("bedrock-runtime")


def call():
    answer = runtime.converse(modelId=MODEL, messages=MESSAGES)
    expect(answer["output"]["message"]["content"][0]["text"], answer_of(MODEL))
    answer = runtime.invoke_model(modelId=CLAUDE, body=json.dumps(CLAUDE_BODY))
    expect(json.loads(answer["body"].read())["content"][0]["text"], answer_of(CLAUDE))
    answer = runtime.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": PROMPT}))
    expect(len(json.loads(answer["body"].read())["embedding"]), 1024)
    models = client("bedrock").list_foundation_models(byProvider="Anthropic")["modelSummaries"]
    expect_in("anthropic.claude-sonnet-4-5-20250929-v1:0", [model["modelId"] for model in models])


def stream():
    events = list(runtime.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"])
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    expect("".join(texts), answer_of(MODEL))
    expect(len(texts) > 1 and "metadata" in events[-1], True)
    answer = runtime.invoke_model_with_response_stream(modelId=CLAUDE, body=json.dumps(CLAUDE_BODY))
    events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    texts = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    expect("".join(texts), answer_of(CLAUDE))


def error():
    validation = runtime.exceptions.ValidationException
    raised = expect_raises(validation, lambda: runtime.converse(modelId=UNKNOWN, messages=MESSAGES))
    expect(raised.response["Error"]["Message"], UNKNOWN_MESSAGE)
    if MODE.startswith("bearer"):
        os.environ["AWS_BEARER_TOKEN_BEDROCK"] = WRONG_KEY
        stranger, code, message = client("bedrock-runtime"), "UnrecognizedClientException", WRONG_KEY_MESSAGE
    elif MODE == "header":
        stranger = client("bedrock-runtime", WRONG_KEY)
        code, message = "UnrecognizedClientException", WRONG_KEY_MESSAGE
    else:
        stranger = boto3.client("bedrock-runtime", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
                                aws_secret_access_key=WRONG_KEY)
        code, message = "SignatureDoesNotMatch", WRONG_SECRET_MESSAGE
    raised = expect_raises(ClientError, lambda: stranger.converse(modelId=MODEL, messages=MESSAGES))
    expect(raised.response["Error"]["Code"], code)
    expect_in(message, raised.response["Error"]["Message"])


def throttle():
    throttling = runtime.exceptions.ThrottlingException
    raised = expect_raises(throttling, lambda: runtime.converse(modelId=THROTTLED, messages=MESSAGES))
    expect(raised.response["Error"]["Message"], THROTTLED_MESSAGE)
    expect(raised.response["ResponseMetadata"]["RetryAttempts"], 1)


def arn():
    answer = runtime.converse(modelId=CLAUDE_ARN, messages=MESSAGES)
    expect(answer["output"]["message"]["content"][0]["text"], answer_of(CLAUDE))


def agents():
    agent = client("bedrock-agent-runtime")
    answer = agent.invoke_agent(agentId="AGENT12345", agentAliasId="ALIAS12345", sessionId="one", inputText=PROMPT)
    text = b"".join(event["chunk"]["bytes"] for event in answer["completion"]).decode()
    expect(text, f"Offline answer of the agent AGENT12345: you said: {PROMPT}")
    documents = agent.retrieve(knowledgeBaseId="KB12345678", retrievalQuery={"text": PROMPT})["retrievalResults"]
    expect_in(PROMPT, documents[0]["content"]["text"])
    answer = client("bedrock-agentcore").invoke_agent_runtime(
        agentRuntimeArn=RUNTIME_ARN, qualifier="DEFAULT", runtimeSessionId="session-" + "0" * 32,
        payload=json.dumps({"prompt": PROMPT}),
    )
    expect(answer["runtimeSessionId"], "session-" + "0" * 32)
    result = json.loads(answer["response"].read())["result"]
    expect(result, f"Offline answer of the runtime echo-a1b2c3d4e5: you said: {PROMPT}")


run(boto3.__version__, {
    "call": call, "stream": stream, "error": error, "throttle": throttle, "arn": arn, "agents": agents,
})
