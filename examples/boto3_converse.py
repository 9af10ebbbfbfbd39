"""A conversation through the proxy, whole and then streamed. Signs with the key pair of the environment."""

import os

import boto3

client = boto3.client(
    "bedrock-runtime",
    region_name=os.environ.get("AWS_REGION", "us-east-1"),
    endpoint_url=os.environ.get("PROXY_URL", "http://localhost:4000/bedrock"),
)
question = [{"role": "user", "content": [{"text": "Hello"}]}]
model = "amazon.nova-lite-v1:0"

response = client.converse(modelId=model, messages=question)
print(response["output"]["message"]["content"][0]["text"])
print("tokens:", response["usage"]["inputTokens"], "in,", response["usage"]["outputTokens"], "out")

for event in client.converse_stream(modelId=model, messages=question)["stream"]:
    if "contentBlockDelta" in event:
        print(event["contentBlockDelta"]["delta"]["text"], end="", flush=True)
print()
