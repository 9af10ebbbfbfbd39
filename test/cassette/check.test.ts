import { describe, expect, it, onTestFinished } from 'vitest';
import { checkFiles, type CassetteFile, type CassetteFinding } from '../../src/cassette/check.ts';
import { createScrubber } from '../../src/cassette/scrub.ts';
import { DEFAULT_RULES } from '../../src/cassette/rules.ts';
import { findNamedSecret, findSecrets, maskSecrets } from '../../src/cassette/secrets.ts';
import { decodeFrames } from '../helpers/event-frames.ts';
import { sendSigned, startForTest } from '../helpers/offline-bedrock.ts';
import { converse, recording, say } from './requests.ts';

/** Put together here, so that nobody's scanner finds them in this file. */
const CANARIES = {
  'an AWS access key id (AKIA…)': `AKIA${'Q7RT2MZX4KWN5PLB'}`,
  'the access key id of a session (ASIA…)': `ASIA${'Q7RT2MZX4KWN5PLB'}`,
  'a Bedrock API key (bedrock-api-key-…)': `bedrock-api-key-${'YmVkcm9jay5hbWF6b25hd3MuY29t'}`,
  'a Bedrock API key (ABSK…)': `ABSK${'QmVkcm9ja0FQSUtleS1leGFtcGxlLWF0LTEyMzQ1Njc4OTAxMg=='}`,
  'an API key (sk-…)': `sk-${'ant-api03-Zx81kQpLm20aTTyQw93'}`,
  'a private key (PEM)': `-----BEGIN ${'RSA '}PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END RSA PRIVATE KEY-----`,
  'a JSON Web Token (eyJ…)': `eyJ${'hbGciOiJIUzI1NiJ9'}.eyJ${'zdWIiOiIxMjM0NTYifQ'}.${'SflKxwRJSMeKKF2QT4fwpMeJf36P'}`,
  'a token of GitHub': `ghp_${'A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8'}`,
  'a token of Slack': `xoxb-${'123456789012-abcdefghijkl'}`,
  'an API key of Google (AIza…)': `AIza${'SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q'}`,
  'a signature of AWS': `AWS4-HMAC-SHA256 ${'Credential='}x`,
  'a password in a URL': `https://user:${'hunter22'}@host`,
  'an e-mail address that is not scrubbed': 'alice@corp.test.org',
  'an account id that is not scrubbed': 'arn:aws:iam::210987654321:role/x',
};
const ROWS = Object.entries(CANARIES).map(([what, canary]) => ({ what, canary }));

const fileOf = (path: string, json: unknown): CassetteFile => ({ path, bytes: Buffer.from(JSON.stringify(json)) });
const check = (...files: CassetteFile[]): readonly CassetteFinding[] =>
  checkFiles(files, { nowMs: Date.UTC(2030, 0, 1), maxAgeMs: 30 * 86_400_000 });
const withResponse = (response: object): CassetteFile =>
  fileOf('001.json', recording('001', converse(say('Hello.')), response).recording);
const messagesOf = (...files: CassetteFile[]): string[] => check(...files).map(({ message }) => message);

describe('secrets', () => {
  it.each(ROWS)('finds $what, wherever it stands, and never repeats it', ({ what, canary }) => {
    const request = converse(say(`Before ${canary} after.`));
    const places: CassetteFile[] = [
      fileOf('request.json', recording('', request).recording),
      withResponse({ body: { json: { deep: [{ er: canary }] } } }),
      withResponse({ body: { text: `{"a":"${canary}` } }),
      withResponse({ frames: [[0, 'contentBlockDelta', { delta: { text: canary } }]] }),
      withResponse({ headers: [['x-header', canary]] }),
      fileOf('cassette.json', { version: 1, note: canary }),
    ];
    for (const file of places) {
      const found = check(file);
      expect(found.map(({ message }) => message).join()).toContain(what);
      expect(JSON.stringify(found)).not.toContain(canary);
    }
  });

  it.each(ROWS)('finds $what that a stream brought in pieces', ({ what, canary }) => {
    const pieces = canary.split(/(?<=^.{5}|^.{9}|^.{14})/);
    const frames = [`Use ${pieces[0] ?? ''}`, ...pieces.slice(1)].map((text, index) => [
      index,
      'contentBlockDelta',
      { contentBlockIndex: 0, delta: { text }, p: 'abc' },
    ]);
    expect(messagesOf(withResponse({ frames: [...frames, [9, 'messageStop', {}]] })).join()).toContain(what);
  });

  it.each(ROWS.filter(({ what }) => !what.endsWith('not scrubbed')))(
    'finds $what in base64, and in a blob',
    ({ what, canary }) => {
      const base64 = Buffer.from(`${'\u0000'.repeat(9)}${canary} `).toString('base64');
      expect(messagesOf(withResponse({ body: { base64 } })).join()).toContain(what);
      expect(messagesOf({ path: 'blobs/4be1.bin', bytes: Buffer.from(`\u0001 ${canary} `) }).join()).toContain(what);
      expect(maskSecrets(`a ${canary} b`)).not.toContain(canary);
    },
  );

  it('finds them in a file that is no JSON', () => {
    const bytes = Buffer.from(`{"a": "${CANARIES['an AWS access key id (AKIA…)']}",}`);
    expect(check({ path: 'x.json', bytes }).map(({ kind }) => kind)).toEqual(['broken', 'secret']);
  });

  it.each([
    ['Authorization', 'Bearer 9f8a7b6c5d4e3f2a1b0c'],
    ['set-cookie', 'session=Qm9yZWQ0ZXZlcg1x9z'],
    ['password', 'correct-Horse7battery'],
    ['clientSecret', 'Zx81kQpLm20aTTyQw93b'],
    ['x-amz-security-token', 'FwoGZXIvYXdzEJr//////////wEaDH'],
    ['secretAccessKey', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzzzz'],
  ])('finds random text in a member or header that is called %s', (name, value) => {
    expect(findNamedSecret(name, value)?.kind).toBe('secret');
    expect(messagesOf(withResponse({ headers: [[name, value]] })).join()).toContain('looks random');
    expect(messagesOf(withResponse({ body: { json: { [name]: value } } })).join()).toContain('looks random');
  });

  it.each([
    ['nextToken', 'AQICAHhW3kPz0b1c9d8e7f6a5b4c3d2e1f'],
    ['clientToken', 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'],
    ['maxTokens', '1000000000000000'],
    ['password', 'password'],
    ['secret', 'a word or two that are no secret at all'],
    ['authorization', 'scrubbed-12ab34'],
  ])('finds nothing in %s: %s', (name, value) => expect(findNamedSecret(name, value)).toBeUndefined());

  it.each([
    `AKIA${'IOSFODNN7EXAMPLE'}`,
    'email-12ab34@example.com',
    'arn:aws:iam::000000000000:role/x',
    'sk-learn is a library, and so is sk-something-written-in-words',
    'tooluse_kZJMlvQmRJ6eAyJE5GIl7Q',
    'https://host/a:b@c',
    'git@github',
  ])('finds nothing in %s', (text) => expect(findSecrets(text)).toEqual([]));

  it('finds nothing more in what was scrubbed', () => {
    const dirty = Object.values(CANARIES).slice(-2).join(' ');
    expect(findSecrets(createScrubber(DEFAULT_RULES).text(dirty))).toEqual([]);
  });
});

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const ASK = say('Hi. Write to nobody.', {
  toolConfig: { tools: [{ toolSpec: { name: 'look', inputSchema: { json: {} } } }] },
});
const THINKING = { ...ASK, additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 1024 } } };
const MESSAGES = {
  anthropic_version: 'bedrock-2023-05-31',
  max_tokens: 2000,
  thinking: { type: 'enabled', budget_tokens: 1024 },
  messages: [{ role: 'user', content: 'Hi.' }],
};
const IMAGE = { taskType: 'TEXT_IMAGE', textToImageParams: { text: 'a house' }, imageGenerationConfig: {} };

/** Requests whose responses have long random text: signatures, embeddings, images, ids, pages. */
const OFFLINE: readonly (readonly [method: string, path: string, body?: object])[] = [
  ['POST', `/model/${CLAUDE}/converse`, THINKING],
  ['POST', `/model/${CLAUDE}/converse-stream`, THINKING],
  ['POST', `/model/${CLAUDE}/invoke`, MESSAGES],
  ['POST', `/model/${CLAUDE}/invoke-with-response-stream`, MESSAGES],
  ['POST', '/model/amazon.titan-embed-text-v2:0/invoke', { inputText: 'Hi.' }],
  ['POST', '/model/amazon.nova-canvas-v1:0/invoke', IMAGE],
  ['POST', '/guardrail/abc/version/1/apply', { source: 'INPUT', content: [{ text: { text: 'Hi.' } }] }],
];

describe('the recordings of the offline Bedrock', () => {
  it('has no false alarm in any of them, once they are scrubbed', async () => {
    const offline = await startForTest();
    onTestFinished(() => offline.close());
    const scrubber = createScrubber(DEFAULT_RULES);
    for (const [method, path, body] of OFFLINE) {
      const sent = body === undefined ? '' : JSON.stringify(body);
      const {
        status,
        headers,
        body: bytes,
      } = await sendSigned(offline.port, {
        method,
        path: path.replaceAll(':', '%3A'),
        headers: { 'content-type': 'application/json' },
        body: sent,
      });
      expect([path, status]).toEqual([path, 200]);
      const isStream = String(headers['content-type']).includes('eventstream');
      const text = bytes.toString();
      const kept = isStream
        ? { frames: decodeFrames(bytes).map((frame, index) => [index, 'event', frame] as const) }
        : { body: text.startsWith('{') ? { json: JSON.parse(text) as unknown } : { base64: bytes.toString('base64') } };
      const { recording: exchange } = recording('1', converse(body ?? {}, { method, path }), {
        ...kept,
        headers: Object.entries(headers).map(([name, value]) => [name, String(value)]),
      });
      const scrubbed = {
        ...exchange,
        request: scrubber.request(exchange.request),
        response: scrubber.response(exchange.response),
      };
      expect([path, check(fileOf('001.json', scrubbed))]).toEqual([path, []]);
    }
  });
});

describe('files', () => {
  it('says what is broken, too old and unused', () => {
    const found = check(
      fileOf('cassette.json', { version: 1, recorded: '2029-10-01', match: { model: 'any' } }),
      fileOf('001.json', { version: 2 }),
      { path: '002.json', bytes: Buffer.from('['.repeat(100_000)) },
      fileOf('one/.last-run.json', { unused: ['001-x'] }),
    );
    expect(found.map(({ file, kind }) => `${file} ${kind}`)).toEqual([
      'cassette.json broken',
      'cassette.json age',
      '001.json broken',
      '002.json broken',
      'one/001-x.json unused',
    ]);
  });

  it('asks whether the hash is right', () => {
    const file = withResponse({});
    for (const [result, kinds] of [
      ['exact', []],
      ['edited', []],
      ['broken', ['hash']],
    ] as const) {
      const found = checkFiles([file], { nowMs: 0, maxAgeMs: undefined, verifyHash: () => result });
      expect(found.map(({ kind }) => kind)).toEqual(kinds);
    }
  });
});
