import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/errors.ts';
import { type Exchange, openExchange } from '../../src/exchange.ts';
import { formatJsonLine, formatPrettyLine, type Paint } from '../../src/observe/access-log.ts';
import { aClientRequest } from '../helpers/client-request.ts';

const STARTED_AT_MS = Date.UTC(2026, 2, 14, 15, 9, 26, 535);
const asIs = (text: string): string => text;
const PLAIN: Paint = { dim: asIs, good: asIs, warn: asIs, bad: asIs, strong: asIs };
const NAMED: Paint = {
  dim: asIs,
  strong: asIs,
  good: (text) => `<good>${text}</good>`,
  warn: (text) => `<warn>${text}</warn>`,
  bad: (text) => `<bad>${text}</bad>`,
};

function anExchange(fields: Partial<Exchange> = {}): Exchange {
  return { ...openExchange('id-1', STARTED_AT_MS, aClientRequest({ rawTarget: '/bedrock/nowhere?q' })), ...fields };
}

const COMPLETE: Partial<Exchange> = {
  method: 'POST',
  httpVersion: '2',
  path: '/bedrock/model/amazon.nova-lite-v1%3A0/converse',
  principal: { kind: 'key', keyId: 'vk_1', label: 'alice' },
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
    expect(JSON.parse(formatJsonLine(anExchange()))).toEqual({
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
      upstream_request_id: null,
      first_byte_ms: null,
      total_ms: null,
      request_bytes: 0,
      response_bytes: 0,
    });
  });

  it('tells what is known', () => {
    expect(JSON.parse(formatJsonLine(anExchange(COMPLETE)))).toMatchObject({
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

  it('has no key id for the master key', () => {
    const line = JSON.parse(formatJsonLine(anExchange({ principal: { kind: 'master', label: 'master' } })));
    expect([line.key, line.key_id]).toEqual(['master', null]);
  });

  it('tells an error by its code, with what only the operator may see', () => {
    const error = new ProxyError('ERR_STORE_UNAVAILABLE', 'm', { detail: '/data/keys.db' });
    const line = JSON.parse(formatJsonLine(anExchange({ error, status: 503 })));
    expect([line.status, line.error, line.error_detail]).toEqual([503, 'ERR_STORE_UNAVAILABLE', '/data/keys.db']);
  });

  it('is one line of printable characters, whatever the client sent', () => {
    const nasty = 'a\n{"forged":true}\r\u0000\u001b[2J\u007f\u009b31m\u2028\u202e';
    const route = { service: 's', operation: undefined, region: 'r', modelId: nasty };
    const line = formatJsonLine(anExchange({ path: nasty, route, method: nasty }));
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
    expect(JSON.parse(line)).toMatchObject({ path: nasty, model: nasty });
  });
});

describe('a line for people', () => {
  it('tells time, key, operation, model, region, status, durations and bytes', () => {
    const line = formatPrettyLine(anExchange(COMPLETE), PLAIN);
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
      formatPrettyLine(anExchange(), PLAIN)
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
    expect(formatPrettyLine(anExchange({ totalMs: ms }), PLAIN)).toContain(`  ${shown} `);
  });

  it.each([
    { bytes: 999, shown: '999 B' },
    { bytes: 1_000, shown: '1.0 kB' },
    { bytes: 12_345_678, shown: '12.3 MB' },
  ])('writes $bytes bytes as $shown', ({ bytes, shown }) => {
    expect(formatPrettyLine(anExchange({ requestBytes: bytes }), PLAIN)).toContain(`  ${shown} > `);
  });

  it.each<{ name: string; fields: Partial<Exchange>; paint: string }>([
    { name: '200', fields: { status: 200 }, paint: '<good>200</good>' },
    { name: '404 of AWS', fields: { status: 404 }, paint: '<warn>404</warn>' },
    { name: '503 of AWS', fields: { status: 503 }, paint: '<bad>503</bad>' },
    { name: 'no answer', fields: {}, paint: '<bad>---</bad>' },
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
    expect(formatPrettyLine(anExchange(fields), NAMED)).toContain(paint);
  });

  it('explains what the operator can change, and only names what the client did', () => {
    const operator = new ProxyError('ERR_NO_AWS_CREDENTIALS', 'There are none.', { detail: 'the chain said so' });
    const client = new ProxyError('ERR_KEY_UNKNOWN', 'The proxy does not know this key.');
    expect(formatPrettyLine(anExchange({ error: operator }), PLAIN)).toMatch(
      /  ERR_NO_AWS_CREDENTIALS There are none. \(the chain said so\)$/,
    );
    expect(formatPrettyLine(anExchange({ error: client }), PLAIN)).toMatch(/  ERR_KEY_UNKNOWN$/);
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
      { error },
      { principal: { kind: 'master', label: text } },
    ]) {
      const line = formatPrettyLine(anExchange(fields as Partial<Exchange>), PLAIN);
      expect(line).not.toMatch(/\p{Cc}|\p{Cf}|\p{Cs}|\p{Zl}|\p{Zp}/u);
      expect(line).toMatch(/a\?.*b/);
    }
  });

  it('shows names in every script', () => {
    const line = formatPrettyLine(anExchange({ principal: { kind: 'key', keyId: 'vk_1', label: '王芳 Zoë' } }), PLAIN);
    expect(line).toContain('王芳 Zoë');
  });

  it('cuts what is too long for a line', () => {
    const line = formatPrettyLine(anExchange({ path: `/${'x'.repeat(5_000)}` }), PLAIN);
    expect(line.length).toBeLessThan(300);
    expect(line).toContain('x…');
  });
});
