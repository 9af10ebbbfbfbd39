/**
 * Requests that name one model to us and another to AWS, or so that nobody can tell: a key with a list of models is
 * refused, whichever of the two AWS would have read.
 */
import { describe, expect, it } from 'vitest';
import { gzipSync } from 'node:zlib';
import { failureOf } from '../helpers/failure.ts';
import { type Asked, HAIKU, openAdmitting } from './admitting.ts';

const OPUS = 'anthropic.claude-opus-4-6-v1';
const policy = { models: ['anthropic.claude-haiku-*', 'openai.*'] };
/** Its list of models alone decides. */
const WIDE = { ...policy, scope: 'all' } as const;
const CHAT = '/openai/v1/chat/completions';
const chat = (text: string): Asked => ({ path: CHAT, body: Buffer.from(text), policy });

describe('a body that names the model', () => {
  it.each([
    { name: 'one that is allowed', body: '{"model":"openai.gpt-oss-20b-1:0"}' },
    { name: 'one that is allowed, escaped', body: String.raw`{"\u006dodel":"\u006fpenai.gpt-oss-20b-1:0"}` },
    { name: 'another one in a place that nobody reads', body: `{"metadata":{"model":"${OPUS}"},"model":"openai.a"}` },
  ])('admits a body that names the model: $name', async ({ body }) => {
    const { ask } = await openAdmitting();
    expect((await ask(chat(body))).model).toMatch(/^openai\./);
  });

  it.each([
    { name: 'another one', body: `{"model":"${OPUS}"}` },
    { name: 'another one first', body: `{"model":"${OPUS}","model":"openai.a"}` },
    { name: 'the same twice', body: '{"model":"openai.a","model":"openai.a"}' },
    { name: 'another one last', body: `{"model":"openai.a","model":"${OPUS}"}` },
    { name: 'another one under an escaped name', body: String.raw`{"model":"openai.a","m\u006fdel":"${OPUS}"}` },
    { name: 'an escaped value', body: String.raw`{"model":"\u0061nthropic.claude-opus-4-6-v1"}` },
    { name: 'a tool that brings another one', body: `{"model":"openai.a","tools":[{"model":"${OPUS}"}]}` },
    { name: 'none', body: '{"messages":[]}' },
    { name: 'nothing at all', body: '' },
    { name: 'null', body: '{"model":null}' },
    { name: 'a number', body: '{"model":7}' },
    { name: 'an object', body: '{"model":{"id":"openai.a"}}' },
    { name: 'an array', body: '{"model":["openai.a"]}' },
    { name: 'a name in another case', body: '{"Model":"openai.a"}' },
    { name: 'an array around it', body: '[{"model":"openai.a"}]' },
    { name: 'a broken end', body: '{"model":"openai.a"' },
    { name: 'something behind it', body: '{"model":"openai.a"}{"model":"x"}' },
    { name: 'a comment', body: `{"model":"openai.a"/*,"model":"${OPUS}"*/}` },
  ])('refuses a body that names the model: $name', async ({ body }) => {
    const { ask } = await openAdmitting();
    expect((await failureOf(() => ask(chat(body)))).code).toBe('ERR_MODEL_NOT_ALLOWED');
  });

  it.each([
    { name: 'UTF-16', body: Buffer.from('\ufeff{"model":"openai.a"}', 'utf16le') },
    { name: 'UTF-8 with a mark', body: Buffer.from('\ufeff{"model":"openai.a"}') },
    { name: 'UTF-16 without a mark', body: Buffer.from('{"model":"openai.a"}', 'utf16le') },
    { name: 'gzip', body: gzipSync('{"model":"openai.a"}') },
  ])('refuses a body in $name', async ({ body }) => {
    const { ask } = await openAdmitting();
    expect((await failureOf(() => ask({ path: CHAT, body, policy }))).code).toBe('ERR_MODEL_NOT_ALLOWED');
  });

  it.each([
    ['content-type', 'application/json; charset=utf-7'],
    ['Content-Type', 'application/json; charset=utf-16'],
  ])('refuses a body under %s: %s, whatever it looks like', async (name, value) => {
    const { ask } = await openAdmitting();
    const headers = [[name, value]] as const;
    const body = { model: 'openai.a' };
    expect((await failureOf(() => ask({ path: CHAT, body, headers, policy }))).code).toBe('ERR_MODEL_NOT_ALLOWED');
  });

  it('looks up a few models of one body, not any number of them', async () => {
    const { ask, lookups } = await openAdmitting();
    const tools = Array.from({ length: 500 }, (_, index) => ({ model: `profile${10_000 + index}` }));
    const call = { path: CHAT, body: { model: 'openai.a', tools } };
    expect((await failureOf(() => ask({ ...call, policy }))).message).toContain('501 models');
    expect((await failureOf(() => ask({ ...call, policy: { tokensPerMinute: 1 } }))).code).toBe(
      'ERR_MODEL_NOT_ALLOWED',
    );
    expect((await ask(call)).priceNames).toHaveLength(32);
    expect(lookups).toEqual([]);
  });
});

describe('a path that names the model', () => {
  it.each([
    ['plain', `/model/${HAIKU}/converse`],
    ['escaped', `/model/${encodeURIComponent(HAIKU)}/converse`],
    ['escaped to the last letter', `/model/%61nthropic.claude%2dhaiku-4-5-20251001-v1%3A0/converse`],
    ['an ARN with a raw slash', `/model/arn:aws:bedrock:us-east-1::foundation-model/${HAIKU}/converse`],
    [
      'an ARN, escaped',
      `/model/${encodeURIComponent(`arn:aws:bedrock:us-east-1::foundation-model/${HAIKU}`)}/converse`,
    ],
    ['for counting', `/model/${HAIKU}/count-tokens`],
    ['for speech', `/model/${HAIKU}/invoke-with-bidirectional-stream`],
    ['with an operation that nobody knows', `/bedrock-runtime/model/${HAIKU}/dream`],
  ])('reads the model of a path: %s', async (_, path) => {
    const { ask } = await openAdmitting();
    expect((await ask({ path, policy: WIDE })).model).toContain('haiku');
    const other = { ...WIDE, models: ['meta.*'] };
    expect((await failureOf(() => ask({ path, policy: other }))).code).toBe('ERR_MODEL_NOT_ALLOWED');
  });

  it.each([
    ['Converse', 'converse', `{"additionalModelRequestFields":{"tools":[{"model":"${OPUS}"}]}}`],
    ['InvokeModel', 'invoke', `{"tools":[{"type":"advisor","model":"${OPUS}"}]}`],
    ['a broken body', 'invoke', '{"tools":[{"type":"advisor","mo'],
    ['an unknown operation', 'dream', `{"tools":[{"model":"${OPUS}"}]}`],
  ])('sees another model in the body than in the path: %s', async (_, operation, body) => {
    const { ask } = await openAdmitting();
    const call = { path: `/bedrock-runtime/model/${HAIKU}/${operation}`, body: Buffer.from(body) };
    expect((await failureOf(() => ask({ ...call, policy: WIDE }))).code).toBe('ERR_MODEL_NOT_ALLOWED');
    await ask({ ...call, policy: { scope: 'all' } });
  });

  it('decodes the model of a path once: what is still escaped then is another name', async () => {
    const { ask } = await openAdmitting();
    const path = '/model/%2561nthropic.claude-haiku-4-5-20251001-v1:0/converse';
    expect((await failureOf(() => ask({ path, policy }))).code).toBe('ERR_MODEL_NOT_ALLOWED');
  });
});

describe('an operation whose model nobody names', () => {
  it.each([
    ['InvokeAgent', 'POST', '/agents/ABCDEFGHIJ/agentAliases/ABCDEFGHIJ/sessions/s1/text'],
    ['InvokeFlow', 'POST', '/flows/ABCDEFGHIJ/aliases/ABCDEFGHIJ'],
    ['an unknown one', 'POST', '/openai/v1/tomorrow'],
  ])('refuses an operation whose model cannot be told to a key with a list: %s', async (_, method, path) => {
    const { ask } = await openAdmitting();
    const failure = await failureOf(() => ask({ method, path, policy: WIDE }));
    expect(failure).toMatchObject({ code: 'ERR_MODEL_NOT_ALLOWED' });
    expect(failure.message).toContain('is not known');
    await ask({ method, path, policy: { ...WIDE, models: ['*'] } });
    await ask({ method, path, policy: { scope: 'all' } });
  });

  it.each([
    ['ListFoundationModels', 'GET', '/foundation-models'],
    ['a read that nobody knows', 'GET', '/openai/v1/files'],
    ['ApplyGuardrail', 'POST', '/guardrail/a/version/1/apply'],
    ['ListAsyncInvokes', 'GET', '/async-invoke'],
  ])('admits an operation that runs no model: %s', async (_, method, path) => {
    const { ask } = await openAdmitting();
    await ask({ method, path, policy });
  });
});
