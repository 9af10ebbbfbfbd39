"""What boto3 users write, against the proxy. Reads lines of JSON, {"case", "url", "key"}, and answers each with a line.

Run by boto3.test.ts, which plays AWS and checks what arrived there.
"""

import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

URL = KEY = ""
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
MESSAGES = [{"role": "user", "content": [{"text": "Grüß dich"}]}]
ONCE = Config(retries={"max_attempts": 0}, read_timeout=15, connect_timeout=5)


def client(service, **settings):
    # A session of its own: the default one keeps the credentials it found first.
    return boto3.Session().client(service, region_name="us-east-1", endpoint_url=URL, config=ONCE, **settings)


def signed_client(service):
    """Dummy AWS keys; the virtual key goes into a header just before sending (the recipe for boto3 and LiteLLM)."""
    made = client(service, aws_access_key_id="dummy", aws_secret_access_key="dummy")

    def add_key(request, **_):
        request.headers["litellm_user_api_key"] = f"Bearer {KEY.split(',')[-1]}"

    made.meta.events.register(f"before-send.{service}.*", add_key)
    return made


def converse():
    answer = client("bedrock-runtime").converse(modelId=MODEL, messages=MESSAGES)
    return answer["output"]["message"]["content"][0]["text"]


def converse_stream():
    answer = client("bedrock-runtime").converse_stream(modelId=MODEL, messages=MESSAGES)
    deltas = [event["contentBlockDelta"] for event in answer["stream"] if "contentBlockDelta" in event]
    return "".join(delta["delta"]["text"] for delta in deltas)


def converse_as_is():
    """With the retries that boto3 has where nobody sets any."""
    as_is = Config(read_timeout=15, connect_timeout=5)
    made = boto3.Session().client("bedrock-runtime", region_name="us-east-1", endpoint_url=URL, config=as_is)
    settings = {"messages": MESSAGES, "inferenceConfig": {"maxTokens": 10}}
    return made.converse(modelId=MODEL, **settings)["output"]["message"]["content"][0]["text"]


def converse_unpriced():
    made = boto3.Session().client("bedrock-runtime", region_name="us-east-1", endpoint_url=URL)
    return made.converse(modelId="nobody.knows-v1:0", messages=MESSAGES)


def invoke_model():
    answer = client("bedrock-runtime").invoke_model(modelId=MODEL, body=json.dumps({"a": "ü"}))
    return answer["body"].read().decode()


def invoke_stream():
    answer = client("bedrock-runtime").invoke_model_with_response_stream(modelId=MODEL, body="{}")
    return "".join(event["chunk"]["bytes"].decode() for event in answer["body"])


def invoke_agent():
    answer = signed_client("bedrock-agent-runtime").invoke_agent(
        agentId="AGENT12345", agentAliasId="ALIAS12345", sessionId="s1", inputText="hi"
    )
    return "".join(event["chunk"]["bytes"].decode() for event in answer["completion"])


def list_models():
    return client("bedrock").list_foundation_models(byProvider="Amazon")["modelSummaries"][0]["modelId"]


def signed_with_pair():
    return client("bedrock-runtime").converse(modelId=MODEL, messages=MESSAGES)["output"]["message"]["content"][0]["text"]


def slot():
    """LangChain users put the key itself into the slot of the access key id."""
    made = client("bedrock-runtime", aws_access_key_id=f"Bearer {KEY.split(',')[-1]}", aws_secret_access_key="any")
    return made.converse(modelId=MODEL, messages=MESSAGES)["output"]["message"]["content"][0]["text"]


CASES = {
    "converse": converse,
    "converse_as_is": converse_as_is,
    "converse_unpriced": converse_unpriced,
    "converse_stream": converse_stream,
    "invoke_model": invoke_model,
    "invoke_stream": invoke_stream,
    "invoke_agent": invoke_agent,
    "list_models": list_models,
    "signed_with_pair": signed_with_pair,
    "slot": slot,
}


def run(case):
    try:
        return {"result": CASES[case]()}
    except (ClientError, EventStreamError) as error:
        details = error.response["Error"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return {"type": type(error).__name__, "code": details["Code"], "message": details["Message"], "status": status}
    except Exception as error:  # whatever it is, the test wants its name
        return {"type": type(error).__name__, "message": str(error)}


for line in sys.stdin:
    task = json.loads(line)
    URL, KEY = task["url"], task["key"]
    # "access key id,secret" is a key pair; anything else a bearer token, which boto3 from 1.44 on sends over https only.
    for variable in ("AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.pop(variable, None)
    if "," in KEY:
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = KEY.split(",")
    elif task["case"] not in ("invoke_agent", "slot"):
        os.environ["AWS_BEARER_TOKEN_BEDROCK"] = KEY
    print(json.dumps(run(task["case"])), flush=True)
