import { describeHead } from '../../src/http/message.ts';
import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import { type RequestRecord, openRecord } from '../../src/domain/request-record.ts';
import { describeForPeople, formatJsonLine } from '../../src/telemetry/access-log.ts';
import { layoutFor } from '../../src/telemetry/line-layout.ts';
import { formatRow } from '../../src/telemetry/record-line.ts';
import { rowToJson } from '../../src/domain/ledger-columns.ts';
import { describeRecord } from '../../src/domain/ledger-row.ts';
import type { Paint } from '../../src/telemetry/record-line.ts';
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

const formatPrettyLine = (record: RequestRecord, paint: Paint, width?: number): string =>
  formatRow(describeForPeople(record), { paint, layout: layoutFor(width) });

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
  it('writes JSON with the columns of the ledger, and what only the log knows; what is unknown is null', () => {
    const record = anRecord();
    expect(JSON.parse(formatJsonLine(record))).toEqual({
      ...rowToJson(describeRecord(record)),
      principal: null,
      key: null,
      cost_usd: '0',
      user_agent: null,
      method: 'GET',
      path: '/bedrock/nowhere',
      http: '1.1',
      error_detail: null,
      upstream_error: null,
      overhead_ms: null,
    });
  });

  it('writes in JSON what is known of a request', () => {
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

  it('writes in JSON what a request used and what it cost, exactly', () => {
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
      cost_nano_usd: 4_200_001,
      cost_usd: '0.004200001',
      partial: true,
      overhead_ms: 0.75,
      user_agent: 'curl',
    });
  });

  it('writes no cost in JSON, rather than 0, if nobody knows the price', () => {
    const line = JSON.parse(formatJsonLine(aFinishedRecord({ pricing: 'unpriced', costNanoUsd: undefined })));
    expect([line.pricing, line.cost_usd]).toEqual(['unpriced', null]);
  });

  it("names AWS's error as `error` in JSON, and apart from ours", () => {
    const line = JSON.parse(formatJsonLine(anRecord({ status: 429, upstreamErrorType: 'ThrottlingException' })));
    expect([line.error, line.upstream_error]).toEqual(['ThrottlingException', 'ThrottlingException']);
  });

  it('writes no key id in JSON for the master key', () => {
    const line = JSON.parse(formatJsonLine(anRecord({ principal: { kind: 'master', label: 'master' } })));
    expect([line.key, line.key_id]).toEqual(['master', null]);
  });

  it('writes an error in JSON by its code, with what only the operator may see', () => {
    const error = new ProxyError('ERR_STORE_UNAVAILABLE', 'm', { detail: '/data/keys.db' });
    const line = JSON.parse(formatJsonLine(anRecord({ error, status: 503 })));
    expect([line.status, line.error, line.error_detail]).toEqual([503, 'ERR_STORE_UNAVAILABLE', '/data/keys.db']);
  });

  it('writes JSON on one line of printable characters, whatever the client sent', () => {
    const nasty = 'a\n{"forged":true}\r\u0000\u001b[2J\u007f\u009b31m\u2028\u202e';
    const route = { service: 's', operation: undefined, region: 'r', modelId: nasty };
    const line = formatJsonLine(anRecord({ path: nasty, route, method: nasty }));
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
    expect(JSON.parse(line)).toMatchObject({ path: nasty, model: nasty });
  });
});

describe('a line for people', () => {
  it('shows method and path if there is no operation, and a dash for what is unknown', () => {
    expect(
      formatPrettyLine(anRecord(), PLAIN)
        .slice(26)
        .split(/\s{2,}/),
    ).toEqual(['-', 'GET /bedrock/nowhere', '---', '-', '-', '-', '0B>0B', '-']);
  });

  it.each([80, 100, 120, 160])('fits a line for people into a terminal of %i columns', (width) => {
    const route = { service: 'bedrock-runtime', operation: 'InvokeModelWithResponseStream', region: 'us-east-1' };
    const fields = { route: { ...route, modelId: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0' }, partial: true };
    expect(formatPrettyLine(aFinishedRecord(fields), PLAIN, width).length).toBeLessThanOrEqual(width);
  });

  it('explains an error, with what only the operator may know if he can change it', () => {
    const operator = new ProxyError('ERR_NO_AWS_CREDENTIALS', 'There are none.', { detail: 'the chain said so' });
    const client = new ProxyError('ERR_KEY_UNKNOWN', 'The proxy does not know this key.', { detail: 'd' });
    expect(formatPrettyLine(anRecord({ error: operator }), PLAIN)).toMatch(
      /  ERR_NO_AWS_CREDENTIALS  There are none. \(the chain said so\)$/,
    );
    expect(formatPrettyLine(anRecord({ error: client }), PLAIN)).toMatch(
      /  ERR_KEY_UNKNOWN  The proxy does not know this key\.$/,
    );
  });

  it('paints a broken stream behind a 200 as bad, and a client that left as a warning', () => {
    const broken = new ProxyError('ERR_UPSTREAM_RESET', 'm');
    const left = new ProxyError('ERR_CLIENT_GONE', 'm');
    expect(formatPrettyLine(anRecord({ status: 200, error: broken }), NAMED)).toContain('<bad>200</bad>');
    expect(formatPrettyLine(anRecord({ status: 200, error: left }), NAMED)).toContain('<warn>200</warn>');
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
  ])('lets nobody forge a line with a $name', ({ text }) => {
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
    expect(line.length).toBeLessThan(350);
    expect(line).toContain('x…');
  });
});

it.each([
  { name: 'a JSON line', format: formatJsonLine },
  { name: 'a line for people', format: (record: RequestRecord) => formatPrettyLine(record, PLAIN) },
])('does not show a key that stands in a path in $name', ({ format }) => {
  const line = format(anRecord({ method: 'POST', path: '/key/sk-AbCdEf0123_-xyzAbCdEf/regenerate' }));
  expect(line).toContain('/key/sk-…/regenerate');
  expect(line).not.toContain('AbCdEf');
});
