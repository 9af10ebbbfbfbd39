"""The OpenAI SDK against Bedrock's OpenAI shape. The key is a virtual key."""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("PROXY_URL", "http://localhost:4000/bedrock") + "/openai/v1",
    api_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "anything"),
)
completion = client.chat.completions.create(
    model="openai.gpt-oss-20b-1:0",
    messages=[{"role": "user", "content": "Hello"}],
)
print(completion.choices[0].message.content)
