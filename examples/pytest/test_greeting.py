"""Tests of code that calls Bedrock with boto3, answered by script.json. Needs pytest and boto3."""

import boto3

MODEL = "amazon.nova-lite-v1:0"


def ask(text):
    client = boto3.client("bedrock-runtime")
    return client.converse(modelId=MODEL, messages=[{"role": "user", "content": [{"text": text}]}])


def test_says_what_the_script_says():
    response = ask("Please say hello.")
    assert response["output"]["message"]["content"][0]["text"] == "Hello, world."
    assert response["usage"]["outputTokens"] == 4


def test_streams_the_same():
    question = [{"role": "user", "content": [{"text": "Please say hello."}]}]
    stream = boto3.client("bedrock-runtime").converse_stream(modelId=MODEL, messages=question)["stream"]
    deltas = [event["contentBlockDelta"]["delta"]["text"] for event in stream if "contentBlockDelta" in event]
    assert "".join(deltas) == "Hello, world."


def test_tries_again_when_bedrock_is_busy():
    assert ask("On a busy day?")["output"]["message"]["content"][0]["text"] == "Now."
