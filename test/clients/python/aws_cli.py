"""The AWS CLI, version 1 or 2, as a shell runs it; the path of the program is in AWS_CLI. It has no commands for event
streams (ConverseStream, InvokeModelWithResponseStream, InvokeAgent)."""

import json
import os
import subprocess

from checks import (
    CLAUDE, CLAUDE_ARN, MODEL, PROMPT, RUNTIME_ARN, THROTTLED, THROTTLED_MESSAGE, UNKNOWN, UNKNOWN_MESSAGE, WRONG_KEY,
    WRONG_KEY_MESSAGE, WRONG_SECRET_MESSAGE, answer_of, expect, expect_in, run,
)

MODE = os.environ["MODE"]
MESSAGES = json.dumps([{"role": "user", "content": [{"text": PROMPT}]}])
CLAUDE_BODY = json.dumps({
    "anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": [{"role": "user", "content": PROMPT}],
})
# Exit codes of a command that the service refused, by major version.
FAILED = {1: 255, 2: 254}
OUTFILE = os.path.join(os.environ["HOME"], f"answer-{os.getpid()}.json")


def aws(*words, environment=None):
    """Exit code, JSON on standard output, text on standard error."""
    command = [os.environ["AWS_CLI"], *words, "--output", "json", "--no-cli-pager"]
    command = command if MAJOR == 2 else command[:-1]
    ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=60, check=False)
    return ended.returncode, ended.stdout, ended.stderr


def aws_ok(*words):
    code, output, complaint = aws(*words)
    expect((code, complaint), (0, ""))
    return json.loads(output or "{}")


def body_of_outfile():
    with open(OUTFILE, encoding="utf-8") as file:
        return json.load(file)


def converse(model, environment=None):
    return aws("bedrock-runtime", "converse", "--model-id", model, "--messages", MESSAGES, environment=environment)


def call():
    code, output, complaint = converse(MODEL)
    expect((code, complaint), (0, ""))
    expect(json.loads(output)["output"]["message"]["content"][0]["text"], answer_of(MODEL))
    raw = ("--cli-binary-format", "raw-in-base64-out") if MAJOR == 2 else ()
    aws_ok("bedrock-runtime", "invoke-model", "--model-id", CLAUDE, "--body", CLAUDE_BODY, *raw, OUTFILE)
    expect(body_of_outfile()["content"][0]["text"], answer_of(CLAUDE))
    models = aws_ok("bedrock", "list-foundation-models", "--by-provider", "Anthropic")["modelSummaries"]
    expect_in("anthropic.claude-sonnet-4-5-20250929-v1:0", [model["modelId"] for model in models])


def error():
    code, _, complaint = converse(UNKNOWN)
    expect_in(f"An error occurred (ValidationException) when calling the Converse operation: {UNKNOWN_MESSAGE}", complaint)
    expect(code, FAILED[MAJOR])
    variable = "AWS_BEARER_TOKEN_BEDROCK" if MODE.startswith("bearer") else "AWS_SECRET_ACCESS_KEY"
    code, _, complaint = converse(MODEL, {**os.environ, variable: WRONG_KEY})
    expect_in(WRONG_KEY_MESSAGE if MODE.startswith("bearer") else WRONG_SECRET_MESSAGE, complaint)
    expect(code, FAILED[MAJOR])


def throttle():
    code, _, complaint = converse(THROTTLED)
    expect_in("An error occurred (ThrottlingException)", complaint)
    expect_in(THROTTLED_MESSAGE, complaint)
    expect(code, FAILED[MAJOR])


def arn():
    code, output, complaint = converse(CLAUDE_ARN)
    expect((code, complaint), (0, ""))
    expect(json.loads(output)["output"]["message"]["content"][0]["text"], answer_of(CLAUDE))


def agents():
    documents = aws_ok("bedrock-agent-runtime", "retrieve", "--knowledge-base-id", "KB12345678", "--retrieval-query",
                       json.dumps({"text": PROMPT}))["retrievalResults"]
    expect_in(PROMPT, documents[0]["content"]["text"])
    payload = json.dumps({"prompt": PROMPT})
    raw = ("--cli-binary-format", "raw-in-base64-out") if MAJOR == 2 else ()
    aws_ok("bedrock-agentcore", "invoke-agent-runtime", "--agent-runtime-arn", RUNTIME_ARN, "--payload", payload, *raw,
           OUTFILE)
    expect(body_of_outfile()["result"], f"Offline answer of the runtime echo-a1b2c3d4e5: you said: {PROMPT}")


MAJOR = 1
VERSION = aws("--version")[1].split()[0].removeprefix("aws-cli/")
MAJOR = int(VERSION.split(".", maxsplit=1)[0])
run(VERSION, {"call": call, "error": error, "throttle": throttle, "arn": arn, "agents": agents})
