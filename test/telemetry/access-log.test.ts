import { describeHead } from '../../src/http/message.ts';
import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import { type RequestRecord, openRecord } from '../../src/domain/request-record.ts';
import { formatJsonLine, formatPrettyLine, type Paint } from '../../src/telemetry/access-log.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { aFinishedRecord, aKeyPrincipal, STARTED_AT_MS } from '../helpers/finished-record.ts';

const asIs = (text: string): string => text;
const PLAIN: Paint = { dim: asIs, good: asIs, warn: asIs, bad: asIs, strong: asIs };
const NAMED: Paint = {
  dim: asIs,
  strong: asIs,
  good: (text) => `<good>${text}</good>`,
  warn: (text) => `<warn>${text}</warn>`,
  bad: (text) => `<bad>${text}</bad>`,
};

function anRecord(fields: Partial<RequestRecord> = {}): RequestRecord {
  return {
    ...openRecord('id-1', STARTED_AT_MS, describeHead(aClientRequest({ rawTarget: '/bedrock/nowhere?q' }))),
    ...fields,
  };
}

const COMPLETE: Partial<RequestRecord> = {
  method: 'POST',
  httpVersion: '2',
  path: '/bedrock/model/amazon.nova-lite-v1%3A0/converse',
  principal: aKeyPrincipal(),
  route: { service: 'bedrock-runtime', operation: 'Converse', region: 'us-east-1', modelId: 'amazon.nova-lite-v1:0' },
  status: 200,
  upstreamRequestId: 'aws-1',
  firstByteMs: 12.34,
  totalMs: 1500,
  requestBytes: 321,
  responseBytes: 45_678,
};

describe('a JSON line', () => {
  it('has every field, unknown ones as null', () => {
    expect(JSON.parse(formatJsonLine(anRecord()))).toEqual({
      time: '2026-03-14T15:09:26.535Z',
      id: 'id-1',
      key: null,
      key_id: null,
      method: 'GET',
      path: '/bedrock/nowhere',
      http: '1.1',
      service: null,
      operation: null,
      model: null,
      region: null,
      status: null,
      error: null,
      error_detail: null,
      upstream_error: null,
      upstream_request_id: null,
      input_tokens: null,
      output_tokens: null,
      cache_read_tokens: null,
      cache_write_tokens: null,
      service_tier: null,
      pricing: 'free',
      cost_usd: 0,
      partial: false,
      overhead_ms: null,
      first_byte_ms: null,
      total_ms: null,
      request_bytes: 0,
      response_bytes: 0,
      user_agent_family: null,
    });
  });

  it('tells what is known', () => {
    expect(JSON.parse(formatJsonLine(anRecord(COMPLETE)))).toMatchObject({
      key: 'alice',
      key_id: 'vk_1',
      service: 'bedrock-runtime',
      operation: 'Converse',
      model: 'amazon.nova-lite-v1:0',
      region: 'us-east-1',
      status: 200,
      upstream_request_id: 'aws-1',
      first_byte_ms: 12.34,
      total_ms: 1500,
      request_bytes: 321,
      response_bytes: 45_678,
    });
  });

  it('tells what was used and what it cost', () => {
    const usage = { inputTokens: 4, outputTokens: 310, cacheReadTokens: 80_000, cacheWriteTokens: 0 };
    const fields = { model: 'of-the-body', usage, serviceTier: 'flex', partial: true, overheadMs: 0.75 };
    const line = formatJsonLine(aFinishedRecord({ ...fields, costNanoUsd: 4_200_001 }));
    expect(JSON.parse(line)).toMatchObject({
      model: 'of-the-body',
      input_tokens: 4,
      output_tokens: 310,
      cache_read_tokens: 80_000,
      cache_write_tokens: 0,
      service_tier: 'flex',
      pricing: 'priced',
      cost_usd: 0.004200001,
      partial: true,
      overhead_ms: 0.75,
      user_agent_family: 'curl',
    });
  });

  it('has no cost, rather than none, where nobody knows the price', () => {
    const line = JSON.parse(formatJsonLine(aFinishedRecord({ pricing: 'unpriced', costNanoUsd: undefined })));
    expect([line.pricing, line.cost_usd]).toEqual(['unpriced', null]);
  });

  it("keeps AWS's error apart from ours", () => {
    const line = JSON.parse(formatJsonLine(anRecord({ status: 429, upstreamErrorType: 'ThrottlingException' })));
    expect([line.error, line.upstream_error]).toEqual([null, 'ThrottlingException']);
  });

  it('has no key id for the master key', () => {
    const line = JSON.parse(formatJsonLine(anRecord({ principal: { kind: 'master', label: 'master' } })));
    expect([line.key, line.key_id]).toEqual(['master', null]);
  });

  it('tells an error by its code, with what only the operator may see', () => {
    const error = new ProxyError('ERR_STORE_UNAVAILABLE', 'm', { detail: '/data/keys.db' });
    const line = JSON.parse(formatJsonLine(anRecord({ error, status: 503 })));
    expect([line.status, line.error, line.error_detail]).toEqual([503, 'ERR_STORE_UNAVAILABLE', '/data/keys.db']);
  });

  it('is one line of printable characters, whatever the client sent', () => {
    const nasty = 'a\n{"forged":true}\r\u0000\u001b[2J\u007f\u009b31m\u2028\u202e';
    const route = { service: 's', operation: undefined, region: 'r', modelId: nasty };
    const line = formatJsonLine(anRecord({ path: nasty, route, method: nasty }));
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
    expect(JSON.parse(line)).toMatchObject({ path: nasty, model: nasty });
  });
});

describe('a line for people', () => {
  it('tells time, key, operation, model, region, status, durations and bytes', () => {
    const line = formatPrettyLine(anRecord(COMPLETE), PLAIN);
    expect(
      line
        .slice(8)
        .split(/\s{2,}/)
        .slice(1),
    ).toEqual(['alice', 'Converse', 'amazon.nova-lite-v1:0', 'us-east-1', '200', '12ms', '1500ms', '321 B > 45.7 kB']);
    expect(line).toMatch(/^\d\d:\d\d:\d\d  /);
  });

  it('shows method and path where there is no operation, and a dash for what is unknown', () => {
    expect(
      formatPrettyLine(anRecord(), PLAIN)
        .slice(10)
        .split(/\s{2,}/),
    ).toEqual(['-', 'GET /bedrock/nowhere', '-', '-', '---', '-', '-', '0 B > 0 B']);
  });

  it.each([
    { ms: 0, shown: '0.0ms' },
    { ms: 9.94, shown: '9.9ms' },
    { ms: 10, shown: '10ms' },
    { ms: 9_999, shown: '9999ms' },
    { ms: 61_234, shown: '61.2s' },
  ])('writes $ms ms as $shown', ({ ms, shown }) => {
    expect(formatPrettyLine(anRecord({ totalMs: ms }), PLAIN)).toContain(`  ${shown} `);
  });

  it.each([
    { bytes: 999, shown: '999 B' },
    { bytes: 1_000, shown: '1.0 kB' },
    { bytes: 12_345_678, shown: '12.3 MB' },
  ])('writes $bytes bytes as $shown', ({ bytes, shown }) => {
    expect(formatPrettyLine(anRecord({ requestBytes: bytes }), PLAIN)).toContain(`  ${shown} > `);
  });

  it.each<{ name: string; fields: Partial<RequestRecord>; shown: string[] }>([
    { name: 'a complete one', fields: {}, shown: ['1.2k>310', '$0.0042'] },
    { name: 'few tokens', fields: { usage: { inputTokens: 999, outputTokens: 0 } }, shown: ['999>0', '$0.0042'] },
    {
      name: 'tokens from caches',
      fields: { usage: { inputTokens: 4, outputTokens: 12_345, cacheReadTokens: 80_000, cacheWriteTokens: 1_000 } },
      shown: ['81.0k>12.3k', '$0.0042'],
    },
    { name: 'a million', fields: { usage: { inputTokens: 1_234_567 } }, shown: ['1.2M>?', '$0.0042'] },
    { name: 'almost a million', fields: { usage: { inputTokens: 999_960 } }, shown: ['1.0M>?', '$0.0042'] },
    { name: 'only output', fields: { usage: { outputTokens: 310 } }, shown: ['?>310', '$0.0042'] },
    { name: 'no tokens', fields: { usage: { images: 2 } }, shown: ['321 B > 45.7 kB', '$0.0042'] },
    { name: 'next to nothing', fields: { costNanoUsd: 99_999 }, shown: ['1.2k>310', '$0.0001'] },
    { name: 'nothing at a price', fields: { costNanoUsd: 0 }, shown: ['1.2k>310', '$0'] },
    { name: 'dollars', fields: { costNanoUsd: 12_345_000_000 }, shown: ['1.2k>310', '$12.35'] },
    { name: 'a part', fields: { partial: true }, shown: ['1.2k>310', '~$0.0042'] },
    { name: 'unpriced', fields: { pricing: 'unpriced' }, shown: ['1.2k>310', '<warn>unpriced</warn>'] },
    {
      name: 'a part, unpriced',
      fields: { pricing: 'unpriced', usage: undefined, partial: true },
      shown: ['321 B > 45.7 kB', '<warn>~unpriced</warn>'],
    },
    { name: 'free', fields: { pricing: 'free', usage: undefined }, shown: ['321 B > 45.7 kB'] },
  ])('tells tokens and cost: $name', ({ fields, shown }) => {
    const columns = formatPrettyLine(aFinishedRecord(fields), NAMED).split(/\s{2,}/);
    expect(columns.slice(8)).toEqual(shown);
  });

  it.each([
    { model: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', shown: 'us.anthropic.claude-sonnet-4-5-…' },
    {
      model: 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0',
      shown: 'eu.amazon.nova-lite-v1:0',
    },
  ])('shortens the model to $shown', ({ model, shown }) => {
    expect(formatPrettyLine(aFinishedRecord({ model }), PLAIN).split(/\s{2,}/)[3]).toBe(shown);
  });

  it('fits on a terminal, for what people call most', () => {
    const route = { service: 'bedrock-runtime', operation: 'InvokeModelWithResponseStream', region: 'us-east-1' };
    const fields = { route: { ...route, modelId: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0' }, partial: true };
    expect(formatPrettyLine(aFinishedRecord(fields), PLAIN).length).toBeLessThanOrEqual(145);
  });

  it.each<{ name: string; fields: Partial<RequestRecord>; paint: string }>([
    { name: '200', fields: { status: 200 }, paint: '<good>200</good>' },
    { name: '404 of AWS', fields: { status: 404 }, paint: '<warn>404</warn>' },
    { name: '503 of AWS', fields: { status: 503 }, paint: '<bad>503</bad>' },
    { name: 'no response', fields: {}, paint: '<bad>---</bad>' },
    {
      name: 'a broken stream behind a 200',
      fields: { status: 200, error: new ProxyError('ERR_UPSTREAM_RESET', 'm') },
      paint: '<bad>200</bad>',
    },
    {
      name: 'a client that left',
      fields: { status: 200, error: new ProxyError('ERR_CLIENT_GONE', 'm') },
      paint: '<warn>200</warn>',
    },
  ])('paints the status: $name', ({ fields, paint }) => {
    expect(formatPrettyLine(anRecord(fields), NAMED)).toContain(paint);
  });

  it('explains what the operator can change, and only names what the client did', () => {
    const operator = new ProxyError('ERR_NO_AWS_CREDENTIALS', 'There are none.', { detail: 'the chain said so' });
    const client = new ProxyError('ERR_KEY_UNKNOWN', 'The proxy does not know this key.');
    expect(formatPrettyLine(anRecord({ error: operator }), PLAIN)).toMatch(
      /  ERR_NO_AWS_CREDENTIALS There are none. \(the chain said so\)$/,
    );
    expect(formatPrettyLine(anRecord({ error: client }), PLAIN)).toMatch(/  ERR_KEY_UNKNOWN$/);
  });

  it.each([
    { name: 'line feed', text: 'a\nb' },
    { name: 'carriage return', text: 'a\rb' },
    { name: 'escape', text: 'a\u001b[2Jb' },
    { name: 'delete', text: 'a\u007fb' },
    { name: 'C1 control', text: 'a\u009b2Jb' },
    { name: 'line separator', text: 'a\u2028b' },
    { name: 'bidirectional override', text: 'a\u202eb' },
    { name: 'zero-width space', text: 'a\u200bb' },
    { name: 'lone surrogate', text: 'a\ud800b' },
  ])('cannot be forged with a $name', ({ text }) => {
    const route = { service: 's', operation: undefined, region: 'r', modelId: text };
    const error = new ProxyError('ERR_UPSTREAM_RESET', text, { detail: text });
    for (const fields of [
      { path: text },
      { method: text },
      { route },
      { model: text },
      { error },
      { principal: { kind: 'master', label: text } },
    ]) {
      const line = formatPrettyLine(anRecord(fields as Partial<RequestRecord>), PLAIN);
      expect(line).not.toMatch(/\p{Cc}|\p{Cf}|\p{Cs}|\p{Zl}|\p{Zp}/u);
      expect(line).toMatch(/a\?.*b/);
    }
  });

  it('shows names in every script', () => {
    const line = formatPrettyLine(anRecord({ principal: aKeyPrincipal({ label: '王芳 Zoë' }) }), PLAIN);
    expect(line).toContain('王芳 Zoë');
  });

  it('cuts what is too long for a line', () => {
    const line = formatPrettyLine(anRecord({ path: `/${'x'.repeat(5_000)}` }), PLAIN);
    expect(line.length).toBeLessThan(300);
    expect(line).toContain('x…');
  });
});

it.each([
  { name: 'a JSON line', format: formatJsonLine },
  { name: 'a line for people', format: (record: RequestRecord) => formatPrettyLine(record, PLAIN) },
])('$name does not show a key that stands in a path', ({ format }) => {
  const line = format(anRecord({ method: 'POST', path: '/key/sk-AbCdEf0123_-xyzAbCdEf/regenerate' }));
  expect(line).toContain('/key/sk-…/regenerate');
  expect(line).not.toContain('AbCdEf');
});
