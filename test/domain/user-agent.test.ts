/** User agents as their programs send them; those of frameworks are an SDK's with a mark in them. */
import { describe, expect, it } from 'vitest';
import { findUserAgentFamily } from '../../src/domain/user-agent.ts';

const BOTO3 =
  'Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux#6.8.0 md/arch#x86_64 lang/python#3.13.1 md/pyimpl#CPython m/Z,b,D cfg/retry-mode#legacy Botocore/1.43.11';

describe('the family of a user agent', () => {
  it.each([
    { userAgent: 'claude-cli/2.1.197 (external, cli)', family: 'claude-code' },
    { userAgent: 'AnthropicBedrock/Python 1.13.0', family: 'anthropic-sdk-python' },
    { userAgent: 'AsyncAnthropicBedrock/Python 1.13.0', family: 'anthropic-sdk-python' },
    { userAgent: 'AnthropicBedrock/JS 1.1.3', family: 'anthropic-sdk-typescript' },
    { userAgent: 'AnthropicBedrockMantle/JS 1.1.3', family: 'anthropic-sdk-typescript' },
    { userAgent: 'Anthropic/Go 1.19.0', family: 'anthropic-sdk-go' },
    { userAgent: 'AnthropicClientImpl/Java 2.0.0', family: 'anthropic-sdk-java' },
    { userAgent: BOTO3, family: 'boto3' },
    { userAgent: 'Botocore/1.43.11 ua/2.1 os/linux lang/python#3.13.1', family: 'boto3' },
    { userAgent: 'aiobotocore/2.25.0 md/Botocore#1.40.61 ua/2.1', family: 'boto3' },
    {
      userAgent:
        'aws-cli/2.36.7 md/awscrt#0.31.0 ua/2.1 os/linux lang/python#3.14.0 md/command#bedrock-runtime.converse',
      family: 'aws-cli',
    },
    {
      userAgent:
        'aws-sdk-js/3.1163.0 ua/2.1 os/linux#6.8.0 lang/js md/nodejs#24.21.0 api/bedrock-runtime#3.1163.0 m/N,E,e',
      family: 'aws-sdk-js',
    },
    { userAgent: 'aws-sdk-nodejs/2.1692.0 linux/v24.21.0', family: 'aws-sdk-js' },
    {
      userAgent: 'aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.25.1 api/bedrockruntime#1.41.0',
      family: 'aws-sdk-go',
    },
    { userAgent: 'aws-sdk-go/1.55.8 (go1.25.1; linux; amd64)', family: 'aws-sdk-go' },
    {
      userAgent: 'aws-sdk-java/2.35.0 md/io#sync md/http#Apache ua/2.1 api/Bedrock_Runtime#2.35.x',
      family: 'aws-sdk-java',
    },
    { userAgent: 'aws-sdk-rust/1.3.9 os/linux lang/rust/1.90.0', family: 'aws-sdk-rust' },
    { userAgent: 'aws-sdk-dotnet-coreclr/4.0.0.10 ua/2.1 os/linux lang/.NET_Core#9.0', family: 'aws-sdk-net' },
    { userAgent: 'aws-sdk-kotlin/1.5.0 ua/2.1', family: 'aws-sdk-kotlin' },
    { userAgent: 'aws-sdk-php/3.350.0 ua/2.1', family: 'aws-sdk-php' },
    { userAgent: 'aws-sdk-ruby3/3.233.0 ua/2.1', family: 'aws-sdk-ruby' },
    { userAgent: `${BOTO3} x-client-framework:langchain-aws`, family: 'langchain' },
    { userAgent: `${BOTO3} x-client-framework:llama_index`, family: 'llama-index' },
    { userAgent: `${BOTO3} strands-agents`, family: 'strands' },
    { userAgent: 'aws-sdk-js/3.922.0 ua/2.1 lang/js app/RooCode#3.30.0', family: 'roo-code' },
    { userAgent: 'OpenAI/Python 2.7.0', family: 'openai-python' },
    { userAgent: 'AsyncOpenAI/Python 2.7.0', family: 'openai-python' },
    { userAgent: 'AsyncAzureOpenAI/Python 2.7.0', family: 'openai-python' },
    { userAgent: 'OpenAI/JS 6.49.0', family: 'openai-node' },
    { userAgent: 'OpenAI/Go 3.0.0', family: 'openai-go' },
    {
      userAgent: 'ai-sdk/amazon-bedrock/4.0.186 ai-sdk/provider-utils/4.0.1 runtime/node.js/24',
      family: 'vercel-ai-sdk',
    },
    { userAgent: 'ai/6.0.326 ai-sdk/provider-utils/4.0.1 runtime/node.js/24', family: 'vercel-ai-sdk' },
    { userAgent: 'opencode/1.18.33 ai-sdk/provider-utils/4.0.1 runtime/bun/1.3', family: 'opencode' },
    { userAgent: 'litellm/1.80.0', family: 'litellm' },
    { userAgent: 'curl/8.14.1', family: 'curl' },
    { userAgent: 'python-requests/2.32.5', family: 'python-requests' },
    { userAgent: 'python-httpx/0.28.1', family: 'httpx' },
    { userAgent: 'node', family: 'node-fetch' },
    { userAgent: 'Go-http-client/1.1', family: 'go-http-client' },
    { userAgent: 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36', family: 'browser' },
  ])('finds the family $family of $userAgent', ({ userAgent, family }) => {
    expect(findUserAgentFamily(userAgent)).toBe(family);
  });

  it.each([
    { name: 'no user agent', userAgent: undefined },
    { name: 'an empty one', userAgent: '' },
    { name: 'one that nobody knows', userAgent: 'my-script/1.0' },
    { name: 'one that only begins like a known one', userAgent: 'curlish/1.0' },
    { name: "one that begins like an SDK's", userAgent: 'OpenAI/Pythonic 1.0' },
    { name: 'a known one that is not at the beginning', userAgent: 'my-script/1.0 curl/8.0' },
    { name: 'the name of a method of objects', userAgent: 'constructor/1.0' },
  ])('finds no family for $name', ({ userAgent }) => {
    expect(findUserAgentFamily(userAgent)).toBeUndefined();
  });

  it('takes no time to speak of, whatever user agent is sent', () => {
    const hostile = [`${'a'.repeat(60_000)}/1`, 'async'.repeat(10_000), 'anthropic'.repeat(8_000), ' '.repeat(60_000)];
    const startedAt = performance.now();
    for (let round = 0; round < 100; round += 1) for (const text of hostile) findUserAgentFamily(text);
    expect((performance.now() - startedAt) / 400).toBeLessThan(1);
  });

  it('ignores what comes after a thousand characters of a user agent', () => {
    expect(findUserAgentFamily(`my-script/1.0 ${'x'.repeat(1_024)} langchain`)).toBeUndefined();
  });
});
