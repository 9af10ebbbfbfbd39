"""What boto3 makes of each fault: CASES, a list of id, mode and key pair, becomes one JSON object a line."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

TIMEOUT_S = 3
MODEL = "amazon.nova-lite-v1:0"
MESSAGES = [{"role": "user", "content": [{"text": "Hello"}]}]
ANSWER = f"Offline answer of {MODEL}: you said: Hello"


def ask(case):
    session = boto3.Session(aws_access_key_id=case["accessKeyId"], aws_secret_access_key=case["key"])
    config = Config(read_timeout=TIMEOUT_S)
    client = session.client("bedrock-runtime", endpoint_url=os.environ["PROXY_URL"], config=config)
    if case["mode"] == "call":
        answer = client.converse(modelId=MODEL, messages=MESSAGES)
        return answer["output"]["message"]["content"][0]["text"] if "output" in answer else ""
    events = client.converse_stream(modelId=MODEL, messages=MESSAGES)["stream"]
    return "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)


def judge(case):
    try:
        text = ask(case)
        outcome = "complete" if text == ANSWER else "part, no error" if text else "nothing, no error"
    except Exception as error:
        code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code", "")
        name = type(error).__name__
        outcome = f"{name} ({code})" if name in ("ClientError", "EventStreamError") else name
    print(json.dumps({"id": case["id"], "outcome": outcome}), flush=True)


print(json.dumps({"version": boto3.__version__}), flush=True)
with ThreadPoolExecutor(int(os.environ["AT_ONCE"])) as pool:
    list(pool.map(judge, json.loads(os.environ["CASES"])))
