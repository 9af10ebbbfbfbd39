import { describe, expect, it } from 'vitest';
import type { ClientRequest, HeaderPair } from '../../src/http/message.ts';
import { guardRequest, type GuardRules } from '../../src/server/guard.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { failureOf } from '../helpers/failure.ts';

const RULES: GuardRules = { listenHosts: ['127.0.0.1'], allowedHosts: [], allowedOrigins: [] };
const withHost = (authority: string): ClientRequest => aClientRequest({ authority, headers: [['Host', authority]] });
const withHeaders = (...headers: HeaderPair[]): ClientRequest =>
  aClientRequest({ headers: [['Host', 'localhost:4000'], ...headers] });

describe('hosts it answers to', () => {
  it.each<{ authority: string; rules?: Partial<GuardRules> }>([
    { authority: 'localhost' },
    { authority: 'localhost:4000' },
    { authority: 'LOCALHOST:1' },
    { authority: 'bedrock.localhost:4000' },
    { authority: '127.0.0.1:4000' },
    { authority: '127.9.9.9' },
    { authority: '[::1]:4000' },
    { authority: '[::1]' },
    { authority: '[0:0:0:0:0:0:0:1]:4000' },
    { authority: '[::ffff:127.0.0.1]:4000' },
    { authority: 'host.docker.internal:4000' },
    { authority: 'host.containers.internal:4000' },
    { authority: 'gateway.docker.internal' },
    { authority: 'dev.example:4000', rules: { allowedHosts: ['dev.example'] } },
    { authority: 'DEV.example', rules: { allowedHosts: ['dev.example'] } },
    { authority: '192.168.1.7:4000', rules: { listenHosts: ['192.168.1.7'] } },
    { authority: 'my-machine:4000', rules: { listenHosts: ['My-Machine'] } },
    { authority: '[fd00::7]:4000', rules: { listenHosts: ['FD00::7'] } },
    { authority: '192.168.1.7:4000', rules: { listenHosts: ['0.0.0.0'] } },
    { authority: '[fd00::7]:4000', rules: { listenHosts: ['::'] } },
    { authority: '172.17.0.1:4000', rules: { listenHosts: ['localhost', '172.17.0.1'] } },
    { authority: '0.0.0.0:4000', rules: { listenHosts: ['0.0.0.0'] } },
  ])('answers to the host $authority with $rules', ({ authority, rules }) => {
    expect(() => guardRequest(withHost(authority), { ...RULES, ...rules })).not.toThrow();
    const overHttp2 = aClientRequest({ authority, headers: [], httpVersion: '2' });
    expect(() => guardRequest(overHttp2, { ...RULES, ...rules })).not.toThrow();
  });
});

describe('hosts it does not answer to', () => {
  it.each<{ name: string; authority: string; rules?: Partial<GuardRules> }>([
    { name: 'the name of an attacker that resolves to us (DNS rebinding)', authority: 'evil.example:4000' },
    { name: 'a name that begins like ours', authority: 'localhost.evil.example' },
    { name: 'a name that ends like ours', authority: 'evillocalhost' },
    { name: 'a name that holds our address', authority: '127.0.0.1.evil.example:4000' },
    { name: 'a name below an allowed one', authority: 'x.dev.example', rules: { allowedHosts: ['dev.example'] } },
    { name: 'a name, although we listen everywhere', authority: 'evil.example', rules: { listenHosts: ['0.0.0.0'] } },
    { name: 'another address of the machine', authority: '192.168.1.7:4000' },
    { name: 'the wildcard address where we listen on loopback', authority: '0.0.0.0:4000' },
    { name: 'another IPv6 address', authority: '[fd00::7]:4000' },
    { name: 'the address of a metadata service', authority: '169.254.169.254' },
    { name: 'the name of a metadata service', authority: 'metadata' },
    { name: 'our name with a dot behind it', authority: 'localhost.' },
    { name: 'a name whose service resolves to our address', authority: '127.0.0.1.nip.io' },
    { name: 'a private address', authority: '10.0.0.1' },
    { name: 'our address as one number', authority: '2130706433' },
    { name: 'our address in hexadecimal', authority: '0x7f.1' },
    { name: 'an IPv4 address in IPv6', authority: '[::ffff:10.0.0.1]' },
  ])('refuses a host: $name', async ({ authority, rules }) => {
    const error = await failureOf(() => guardRequest(withHost(authority), { ...RULES, ...rules }));
    expect([error.code, error.status]).toEqual(['ERR_HOST_REFUSED', 403]);
    expect(error.hint).toContain('--allowed-host');
  });

  it.each<{ name: string; request: Partial<ClientRequest> }>([
    { name: 'no host at all', request: { authority: undefined, headers: [] } },
    { name: 'an empty one', request: { authority: '', headers: [['Host', '']] } },
    { name: 'a user', request: { authority: 'localhost@evil.example', headers: [] } },
    { name: 'a path', request: { authority: 'localhost/x', headers: [] } },
    { name: 'a port without a name', request: { authority: ':4000', headers: [] } },
    { name: 'a port that is none', request: { authority: 'localhost:http', headers: [] } },
    { name: 'a port of six digits', request: { authority: 'localhost:400000', headers: [] } },
    { name: 'IPv6 without brackets', request: { authority: '::1', headers: [] } },
    { name: 'an open bracket', request: { authority: '[::1', headers: [] } },
    { name: 'a space', request: { authority: 'localhost :4000', headers: [] } },
    { name: 'a list', request: { authority: 'localhost, evil.example', headers: [] } },
    { name: 'a line break', request: { authority: 'localhost\n', headers: [] } },
    {
      name: 'two of them',
      request: {
        authority: 'localhost',
        headers: [
          ['Host', 'localhost'],
          ['host', 'evil.example'],
        ],
      },
    },
    {
      name: 'the same one twice',
      request: {
        authority: 'localhost',
        headers: [
          ['Host', 'localhost'],
          ['Host', 'localhost'],
        ],
      },
    },
    {
      name: 'one that differs from :authority',
      request: { httpVersion: '2', authority: 'localhost', headers: [['host', 'evil.example']] },
    },
  ])('refuses a request whose host is malformed: $name', async ({ request }) => {
    const error = await failureOf(() => guardRequest(aClientRequest(request), RULES));
    expect([error.code, error.status]).toEqual(['ERR_BAD_REQUEST', 400]);
  });

  it('takes a host beside an equal :authority', () => {
    const request = aClientRequest({ httpVersion: '2', authority: 'localhost', headers: [['host', 'localhost']] });
    expect(() => guardRequest(request, RULES)).not.toThrow();
  });
});

describe('web pages', () => {
  const TOOL = { ...RULES, allowedOrigins: ['https://tool.example', 'null'] };

  it.each<{ name: string; headers: HeaderPair[]; rules?: GuardRules }>([
    { name: 'no page at all', headers: [] },
    { name: 'our own origin', headers: [['Origin', 'http://localhost:4000']] },
    { name: 'our own origin over TLS', headers: [['Origin', 'https://localhost:4000']] },
    { name: 'an allowed one', headers: [['Origin', 'https://tool.example']], rules: TOOL },
    { name: 'an allowed one in other letters', headers: [['ORIGIN', 'HTTPS://Tool.Example']], rules: TOOL },
    { name: 'an allowed null', headers: [['Origin', 'null']], rules: TOOL },
    {
      name: 'an allowed one of another site',
      headers: [
        ['Origin', 'https://tool.example'],
        ['Sec-Fetch-Site', 'cross-site'],
      ],
      rules: TOOL,
    },
    { name: 'a person who types the address', headers: [['Sec-Fetch-Site', 'none']] },
    { name: 'a page of ours', headers: [['Sec-Fetch-Site', 'same-origin']] },
  ])('lets a web page pass: $name', ({ headers, rules = RULES }) => {
    expect(() => guardRequest(withHeaders(...headers), rules)).not.toThrow();
  });

  it.each<{ name: string; headers: HeaderPair[]; rules?: GuardRules }>([
    { name: 'a foreign origin', headers: [['Origin', 'https://evil.example']] },
    { name: 'null, as sandboxed frames send', headers: [['Origin', 'null']] },
    { name: 'an empty one', headers: [['Origin', '']] },
    { name: 'another port of this machine', headers: [['Origin', 'http://localhost:3000']] },
    { name: 'another scheme', headers: [['Origin', 'ftp://localhost:4000']] },
    { name: 'a file', headers: [['Origin', 'file://']] },
    { name: 'an origin that begins like our own', headers: [['Origin', 'http://localhost:4000.evil.example']] },
    {
      name: 'an origin that begins like an allowed one',
      headers: [['Origin', 'https://tool.example.evil']],
      rules: TOOL,
    },
    {
      name: 'a second origin',
      headers: [
        ['Origin', 'https://tool.example'],
        ['Origin', 'https://evil.example'],
      ],
      rules: TOOL,
    },
    { name: 'another site without an origin', headers: [['sec-fetch-site', 'Cross-Site']] },
    {
      name: 'another site without an origin, although some origins are allowed',
      headers: [['Sec-Fetch-Site', 'cross-site']],
      rules: TOOL,
    },
  ])('refuses a web page: $name', async ({ headers, rules = RULES }) => {
    const error = await failureOf(() => guardRequest(withHeaders(...headers), rules));
    expect([error.code, error.status]).toEqual(['ERR_ORIGIN_REFUSED', 403]);
    expect(error.hint).toContain('--allowed-origin');
  });

  it('quotes a refused origin in plain characters, cut short', async () => {
    const error = await failureOf(() => guardRequest(withHeaders(['Origin', `x\u0007${'y'.repeat(500)}`]), RULES));
    expect(error.hint).not.toContain('\u0007');
    expect(error.hint?.length).toBeLessThan(200);
  });
});
