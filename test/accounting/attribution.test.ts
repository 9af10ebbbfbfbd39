import { describe, expect, it } from 'vitest';
import { attributeRequest } from '../../src/accounting/attribution.ts';
import { openRecord, type RequestRecord } from '../../src/domain/request-record.ts';
import { describeHead, type HeaderPair } from '../../src/http/message.ts';
import { aClientRequest } from '../helpers/client-request.ts';

type Attribution = Pick<RequestRecord, 'session' | 'agent' | 'requestTags'>;

function attributionOf(headers: readonly HeaderPair[]): Attribution {
  const record = openRecord('id-1', 0, describeHead(aClientRequest({ headers })));
  attributeRequest(record, headers);
  const { session, agent, requestTags } = record;
  return { session, agent, requestTags };
}

function tagsOf(...lists: readonly string[]): Attribution['requestTags'] {
  return attributionOf(lists.map((list) => ['x-bedrock-proxy-tags', list])).requestTags;
}

const KEY = `sk-${'aB3_-'.repeat(9).slice(0, 43)}`;
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT: HeaderPair = ['traceparent', `00-${TRACE_ID}-00f067aa0ba902b7-01`];

describe('the session of a request', () => {
  it.each<readonly [string, string]>([
    ['x-bedrock-proxy-session', 'ours'],
    ['x-litellm-session-id', 's'],
    ['X-LiteLLM-Trace-Id', 's'],
    ['X-Claude-Code-Session-Id', 'e96634a3-fa28-4083-b354-55542e2dca01'],
    ['x-opencode-session', 'ses_1'],
    ['session_id', 's'],
    ['Session-Id', 's'],
    ['x-session-id', 's'],
    ['x-session-affinity', 's'],
    ['x-amzn-bedrock-agentcore-runtime-session-id', 's'],
    ['x-qwen-code-session-id', 's'],
  ])('is what %s names', (name, value) => {
    expect(attributionOf([TRACEPARENT, ['user-agent', 'x'], [name, ` ${value} `]])).toEqual({
      session: value,
      agent: undefined,
      requestTags: undefined,
    });
  });

  it('is the trace if no header names a session', () => {
    expect(attributionOf([TRACEPARENT]).session).toBe(TRACE_ID);
    expect(attributionOf([['traceparent', 'what?']]).session).toBeUndefined();
    expect(attributionOf([TRACEPARENT, ['x-session-id', ' ']]).session).toBe(TRACE_ID);
  });

  it('is that of the owner of the proxy first, then of LiteLLM, then of the program', () => {
    const headers: HeaderPair[] = [
      ['x-any-session-id', 'any'],
      ['x-session-id', 'plain'],
      ['x-claude-code-session-id', 'claude'],
      ['x-litellm-session-id', 'litellm'],
      ['x-bedrock-proxy-session', 'first'],
      ['x-bedrock-proxy-session', 'second'],
    ];
    const found = headers.map((_, count) => attributionOf(headers.slice(0, headers.length - count)).session);
    expect(found).toEqual(['first', 'first', 'litellm', 'claude', 'plain', 'any']);
  });

  it('knows an agent of it', () => {
    expect(attributionOf([['x-claude-code-agent-id', 'a-1']])).toMatchObject({ session: undefined, agent: 'a-1' });
    const both: HeaderPair[] = [
      ['x-claude-code-agent-id', 'a-1'],
      ['x-bedrock-proxy-agent', 'reviewer'],
    ];
    expect(attributionOf(both).agent).toBe('reviewer');
  });

  it.each([
    { name: 'a key', value: KEY, session: 'sk-…' },
    { name: 'a key among other things', value: `run of ${KEY}, again`, session: 'run of sk-…, again' },
    { name: 'what a terminal acts on', value: 'a\u001b[2J\u009b1m\u00adb', session: 'a?[2J?1m?b' },
    { name: 'a long one', value: 'x'.repeat(60_000), session: `${'x'.repeat(127)}…` },
    { name: 'a key that begins where a long one is cut', value: `${'x '.repeat(62)}${KEY}`, session: /x sk-…$/ },
  ])('keeps of a session what may be kept: $name', ({ value, session }) => {
    const found = attributionOf([['x-session-id', value]]).session;
    expect(found).toEqual(typeof session === 'string' ? session : expect.stringMatching(session));
    expect(found?.length).toBeLessThanOrEqual(128);
  });
});

describe('the tags of a request', () => {
  it('are those of our header, of LiteLLM and of its customer', () => {
    expect(tagsOf('repo=bedrock-proxy, branch = main', 'ci')).toEqual({
      repo: 'bedrock-proxy',
      branch: 'main',
      ci: '',
    });
    expect(attributionOf([['x-litellm-tags', 'prod,job:nightly,a=b=c']]).requestTags).toEqual({
      prod: '',
      'job:nightly': '',
      a: 'b=c',
    });
    for (const name of ['x-litellm-end-user-id', 'x-litellm-customer-id']) {
      expect(attributionOf([[name, 'carol@example.com']]).requestTags).toEqual({ end_user: 'carol@example.com' });
    }
  });

  it('are ten at most, each once, the first of each', () => {
    expect(tagsOf('a=1,a=2', 'a=3')).toEqual({ a: '1' });
    const many = Array.from({ length: 500 }, (_, index) => `t${index}=1`).join();
    expect(Object.keys(tagsOf(many, many) ?? {})).toEqual(Array.from({ length: 10 }, (_, index) => `t${index}`));
  });

  it.each([
    { name: 'no name', list: '=x, ,=' },
    { name: 'a name of other characters', list: 'a b=c,"a"=c,\u00e4=c' },
    { name: 'a long name', list: `${'n'.repeat(129)}=1` },
    { name: 'a long value', list: `n=${'v'.repeat(129)}` },
    { name: 'a value that a terminal acts on', list: 'n=\u001b[2J' },
    { name: 'a key in the place of a name', list: `${KEY}=1,${KEY}` },
    { name: 'the user and the team, which reports of the owner go by', list: 'user_id=boss,team_id=finance' },
  ])('are not $name', ({ list }) => {
    expect(tagsOf(list)).toBeUndefined();
  });

  it('hide a key, and change no prototype', () => {
    expect(tagsOf(`repo=${KEY}`)).toEqual({ repo: 'sk-…' });
    const tags = tagsOf('__proto__=x,constructor=y') ?? {};
    expect(Object.getPrototypeOf(tags)).toBe(Object.prototype);
    expect(Object.entries(tags)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });
});
