import { describe, expect, it } from 'vitest';
import { failureOf } from '../helpers/failure.ts';
import { HAIKU, openAdmitting } from './admitting.ts';

const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';

describe('who has limits', () => {
  it.each([
    { kind: 'master', label: 'master' },
    { kind: 'anonymous', label: 'anonymous' },
  ] as const)('sets no limits for $kind', async (principal) => {
    const { ask } = await openAdmitting();
    const admission = await ask({ method: 'DELETE', path: '/guardrails/abc', principal });
    expect(admission).toMatchObject({ model: undefined, reservedNanoUsd: undefined, priceNames: [] });
    admission.release({ tokens: 5 });
    admission.release({ tokens: undefined });
  });

  it('checks the limits of a key in this order: scope, region, slot, requests, model, tokens', async () => {
    const { ask } = await openAdmitting();
    const path = `/model/${HAIKU}/converse`;
    const all = { models: ['x'], regions: ['eu-*'], maxParallel: 1, requestsPerMinute: 1, tokensPerMinute: 9_000 };
    const code = async (policy: object, at = path): Promise<string> =>
      (await failureOf(() => ask({ path: at, policy }))).code;
    await ask({ policy: {} });
    expect(await code(all, '/guardrails')).toBe('ERR_SCOPE');
    expect(await code(all)).toBe('ERR_REGION_NOT_ALLOWED');
    expect(await code({ ...all, regions: [] })).toBe('ERR_TOO_MANY_PARALLEL');
    expect(await code({ ...all, regions: [], maxParallel: undefined })).toBe('ERR_REQUEST_RATE');
    await ask({ policy: { tokensPerMinute: 9_000 } });
    expect(await code({ models: ['x'], tokensPerMinute: 9_000 })).toBe('ERR_MODEL_NOT_ALLOWED');
    expect(await code({ tokensPerMinute: 9_000 })).toBe('ERR_TOKEN_RATE');
  });
});

describe('what is known of a request', () => {
  it.each([
    { name: 'the path', path: `/model/${SONNET}/invoke`, body: {}, model: SONNET },
    { name: 'the path, escaped', path: `/model/${encodeURIComponent(SONNET)}/invoke`, body: {}, model: SONNET },
    {
      name: "OpenAI's body",
      path: '/openai/v1/chat/completions',
      body: { model: 'openai.gpt-oss-20b-1:0' },
      model: 'openai.gpt-oss-20b-1:0',
    },
    { name: "Anthropic's body", path: '/anthropic/v1/messages', body: { model: HAIKU }, model: HAIKU },
    { name: 'no place at all', path: '/guardrail/a/version/1/apply', body: {}, model: undefined },
  ])('finds the model in $name, for callers without limits too', async ({ path, body, model }) => {
    const { ask } = await openAdmitting();
    for (const principal of [undefined, { kind: 'master', label: 'master' } as const]) {
      const admission = await ask({ path, body, ...(principal && { principal }) });
      expect(admission.model).toBe(model);
      expect(admission.priceNames).toEqual(model === undefined ? [] : [model]);
    }
  });

  it('ignores a body that nobody can read if nothing depends on it', async () => {
    const { ask } = await openAdmitting();
    const admission = await ask({ path: '/openai/v1/chat/completions', body: Buffer.from('{"model":'), policy: {} });
    expect(admission.model).toBeUndefined();
  });

  it('looks a profile up beside the request, once nobody waits for it', async () => {
    const { ask, profiles, lookups } = await openAdmitting();
    const arn = 'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl';
    const behind = `arn:aws:bedrock:us-east-1::foundation-model/${HAIKU}`;
    profiles.set(arn, [behind]);
    const admission = await ask({ path: `/model/${encodeURIComponent(arn)}/converse`, policy: {} });
    await expect.poll(() => admission.priceNames).toEqual([arn, behind]);
    expect(lookups).toEqual([`${arn} us-east-1`]);
    await ask({ path: `/model/${encodeURIComponent(arn)}/count-tokens` });
    expect(lookups).toHaveLength(1);
  });

  it('keeps how a request asks to be served', async () => {
    const { ask } = await openAdmitting();
    const headers = [['X-Amzn-Bedrock-Service-Tier', 'Flex']] as const;
    expect((await ask({ headers, path: '/model/m/invoke' })).serviceTier).toBe('flex');
    expect((await ask({ headers })).serviceTier).toBeUndefined();
    expect(
      (await ask({ body: { serviceTier: { type: 'priority' } }, policy: { tokensPerMinute: 1 } })).serviceTier,
    ).toBe('priority');
  });
});

describe('rates', () => {
  it("lets Claude Code's thirty one-token calls pass at once, and no thirty-first", async () => {
    const { ask, clock } = await openAdmitting();
    const policy = { requestsPerMinute: 30, maxParallel: 30 };
    const body = { anthropic_version: 'bedrock-2023-05-31', max_tokens: 1, messages: [{ role: 'user', content: 'x' }] };
    const call = { path: `/model/${HAIKU}/invoke`, body, policy };
    const burst = await Promise.all(Array.from({ length: 30 }, () => ask(call)));
    expect(await failureOf(() => ask(call))).toMatchObject({ code: 'ERR_TOO_MANY_PARALLEL', retryAfterSeconds: 1 });
    for (const { release } of burst) release({ tokens: 9 });
    expect(await failureOf(() => ask(call))).toMatchObject({
      code: 'ERR_REQUEST_RATE',
      status: 429,
      retryAfterSeconds: 60,
    });
    clock.nowMs += 60_000;
    (await ask(call)).release({ tokens: 9 });
  });

  it('counts tokens by the body at first, and by the response in the end', async () => {
    const { ask } = await openAdmitting();
    const body = { messages: [], inferenceConfig: { maxTokens: 700 } };
    const policy = { tokensPerMinute: 1_000 };
    const first = await ask({ body, policy });
    expect(first.estimate).toMatchObject({ outputTokens: 700, copies: 1 });
    expect(first.estimate?.inputTokens).toBeGreaterThan(5);
    expect((await failureOf(() => ask({ body, policy }))).code).toBe('ERR_TOKEN_RATE');
    first.release({ tokens: 100 });
    await ask({ body, policy });
  });

  it('estimates 8,192 tokens of output if the body says nothing, and none if nothing is written', async () => {
    const { ask } = await openAdmitting({
      priceFile: { models: { 'amazon.titan-embed-text-v2:0': { input_mtok: 0.02 } } },
    });
    const policy = { tokensPerMinute: 1_000_000 };
    expect((await ask({ policy })).estimate?.outputTokens).toBe(8_192);
    expect((await ask({ policy, body: { n: 3 }, path: '/model/some.thing/invoke' })).estimate?.outputTokens).toBe(
      24_576,
    );
    const embedding = await ask({
      policy,
      path: '/model/amazon.titan-embed-text-v2:0/invoke',
      body: { inputText: 'x' },
    });
    expect(embedding.estimate?.outputTokens).toBe(0);
  });

  it('does not count free operations as tokens', async () => {
    const { ask } = await openAdmitting();
    const policy = { tokensPerMinute: 100 };
    await ask({ policy });
    const body = { input: { converse: { messages: [] } } };
    expect((await ask({ policy, body, path: `/model/${HAIKU}/count-tokens` })).estimate).toBeUndefined();
  });

  it.each([
    [1e308, 8_192],
    [-1, 8_192],
    [0, 8_192],
    ['9', 8_192],
    [null, 8_192],
    [1.5, 2],
    [Number.MAX_SAFE_INTEGER, 1_000_000_000],
  ])('estimates for max_tokens %j %d output tokens', async (max_tokens, outputTokens) => {
    const { ask } = await openAdmitting();
    const call = { path: `/model/${HAIKU}/invoke`, body: { max_tokens }, policy: { tokensPerMinute: 5_000 } };
    const admission = await ask(call);
    expect(admission.estimate?.outputTokens).toBe(outputTokens);
    admission.release({ tokens: 10 });
    await ask({ ...call, body: { max_tokens: 4_900 } });
  });
});
