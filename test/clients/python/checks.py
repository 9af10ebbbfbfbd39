"""What the Python clients share: the cases, which are the same in every language, and how a check's
outcome is told to the runner, one JSON object a line."""

import json
import os
import traceback

URL = os.environ["PROXY_URL"]
REGION = os.environ["AWS_REGION"]

MODEL = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
CLAUDE_ARN = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{CLAUDE}"
OPENAI_MODEL = "openai.gpt-oss-120b-1:0"
THROTTLED = "offline.throttle-v1:0"
UNKNOWN = "no-such-model"
RUNTIME_ARN = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/echo-a1b2c3d4e5"
PROMPT = "Grüße, 世界"
WRONG_KEY = "sk-" + "wrong" * 10

UNKNOWN_MESSAGE = "The provided model identifier is invalid."
THROTTLED_MESSAGE = "Too many requests, please wait."
WRONG_KEY_MESSAGE = "The proxy does not know this key."
WRONG_SECRET_MESSAGE = "The signature is not the one that this secret access key makes"


def answer_of(model):
    """What the offline Bedrock answers PROMPT."""
    return f"Offline answer of {model.removeprefix('us.')}: you said: {PROMPT}"


def expect(actual, expected):
    """Fails the check where the two differ."""
    if actual != expected:
        raise AssertionError(f"{actual!r} instead of {expected!r}")


def expect_in(part, whole):
    """Fails the check where a text lacks a part."""
    if part not in whole:
        raise AssertionError(f"{part!r} is not in {whole!r}")


def expect_raises(exception, call):
    """Runs the call, which must raise just this kind of exception, and gives the exception."""
    try:
        call()
    except exception as raised:
        return raised
    raise AssertionError(f"no {exception} was raised")


def run(version, checks):
    """Runs those of the checks (functions by name) that the runner asks for, each whatever became of the others."""
    print(json.dumps({"version": version}), flush=True)
    for name in os.environ["CHECKS"].split(","):
        try:
            checks[name]()
            told = {"check": name, "ok": True}
        except Exception as raised:  # pylint: disable=broad-except
            frames = traceback.extract_tb(raised.__traceback__)
            where = [frame for frame in frames if frame.filename != __file__][-1]
            place = f"{os.path.basename(where.filename)}:{where.lineno}"
            told = {"check": name, "ok": False, "detail": f"{type(raised).__name__}: {raised} ({place})"}
        print(json.dumps(told), flush=True)
