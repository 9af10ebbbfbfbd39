"""The Anthropic SDK's Bedrock client: endpoint from ANTHROPIC_BEDROCK_BASE_URL, credentials from the environment."""

import os

import anthropic
from anthropic import AnthropicBedrock

from checks import (
    CLAUDE, CLAUDE_ARN, PROMPT, THROTTLED, THROTTLED_MESSAGE, UNKNOWN, UNKNOWN_MESSAGE, WRONG_KEY, WRONG_KEY_MESSAGE,
    WRONG_SECRET_MESSAGE, answer_of, expect, expect_in, expect_raises, run,
)

client = AnthropicBedrock(max_retries=1)
MESSAGES = [{"role": "user", "content": PROMPT}]


def create(model, with_client=client):
    return with_client.messages.create(model=model, max_tokens=100, messages=MESSAGES)


def call():
    message = create(CLAUDE)
    expect(message.content[0].text, answer_of(CLAUDE))
    expect(message.stop_reason, "end_turn")


def stream():
    with client.messages.stream(model=CLAUDE, max_tokens=100, messages=MESSAGES) as events:
        texts = list(events.text_stream)
        final = events.get_final_message()
    expect("".join(texts), answer_of(CLAUDE))
    expect(len(texts) > 1, True)
    expect(final.stop_reason, "end_turn")


def error():
    raised = expect_raises(anthropic.BadRequestError, lambda: create(UNKNOWN))
    expect_in(UNKNOWN_MESSAGE, str(raised))
    if os.environ["MODE"].startswith("bearer"):
        stranger, message = AnthropicBedrock(api_key=WRONG_KEY), WRONG_KEY_MESSAGE
    else:
        access_key_id = os.environ["AWS_ACCESS_KEY_ID"]
        stranger = AnthropicBedrock(aws_access_key=access_key_id, aws_secret_key=WRONG_KEY)
        message = WRONG_SECRET_MESSAGE
    raised = expect_raises(anthropic.AuthenticationError, lambda: create(CLAUDE, stranger))
    expect_in(message, str(raised))


def throttle():
    raised = expect_raises(anthropic.RateLimitError, lambda: create(THROTTLED))
    expect_in(THROTTLED_MESSAGE, str(raised))


def arn():
    expect(create(CLAUDE_ARN).content[0].text, answer_of(CLAUDE))


run(anthropic.__version__, {"call": call, "stream": stream, "error": error, "throttle": throttle, "arn": arn})
