"""Fixtures that answer tests from a proxy of their own: no AWS account, no network. Copy this file beside your tests.

The proxy starts once for all tests. During each test, the variables that boto3 reads point to it. BEDROCK_PROXY_ARGS gives it other
options than those below.
"""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

COMMAND = os.environ.get("BEDROCK_PROXY", "npx --yes bedrock-proxy")
SCRIPT = Path(__file__).parent / "script.json"
ARGS = os.environ.get("BEDROCK_PROXY_ARGS", f"--offline --script {shlex.quote(str(SCRIPT))}")


@pytest.fixture(scope="session")
def bedrock_url(tmp_path_factory):
    """Where the proxy of the tests serves Bedrock."""
    database = tmp_path_factory.mktemp("bedrock-proxy") / "keys.db"
    words = [*shlex.split(COMMAND), "start", "--json", "--quiet", "--port", "0", "--host", "127.0.0.1"]
    words += ["--db", str(database), *shlex.split(ARGS)]
    words[0] = shutil.which(words[0]) or words[0]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            line = proxy.stdout.readline()
            assert line, "the proxy did not start; what it says stands above"
            yield json.loads(line)["url"]
        finally:
            proxy.terminate()


@pytest.fixture(autouse=True)
def bedrock(bedrock_url, monkeypatch):
    """Points boto3 to the proxy for the time of a test."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", bedrock_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTTESTTESTTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no-secret-at-all")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    return bedrock_url
