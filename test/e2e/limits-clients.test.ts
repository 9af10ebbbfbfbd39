/**
 * What limits look like in the hands of real clients, with the retries they have where nobody sets any: what no second
 * try can cure is sent once and raised with our words, and what passes by itself is tried again and succeeds.
 * @module-tag slow
 */
import { AnthropicBedrock } from '@anthropic-ai/bedrock-sdk';
import {
  AccessDeniedException,
  BedrockRuntimeClient,
  ConverseCommand,
  ServiceQuotaExceededException,
  ThrottlingException,
} from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { EMPTY_POLICY } from '../../src/keys/limits.ts';
import type { MintedKey } from '../../src/keys/mint.ts';
import type { KeyPolicy } from '../../src/domain/key.ts';
import { type Boto3, PYTHON_WITH_BOTO3, startBoto3 } from '../helpers/boto3.ts';
import { sendJson } from '../helpers/fake-upstream.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const SONNET = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const UNPRICED = 'nobody.knows-v1:0';
/** Serves Converse and Anthropic's client alike. */
const RESPONSE = {
  output: { message: { role: 'assistant', content: [{ text: 'Hallo' }] } },
  stopReason: 'end_turn',
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: SONNET,
  stop_reason: 'end_turn',
  content: [{ type: 'text', text: 'Hallo' }],
  usage: { inputTokens: 1, outputTokens: 1, input_tokens: 1, output_tokens: 1 },
};

const { it, testbed } = proxyTest();
let boto3: Boto3 | undefined;
const clients: { destroy(): void }[] = [];

beforeAll(async () => {
  if (PYTHON_WITH_BOTO3 !== undefined) boto3 = await startBoto3(PYTHON_WITH_BOTO3);
});

afterAll(() => boto3?.[Symbol.asyncDispose]());

beforeEach(async () => {
  testbed.upstream.respondWith((_request, response) => sendJson(response, 200, RESPONSE));
});

afterEach(async () => {
  clients.splice(0).forEach((client) => client.destroy());
});

/** What a client raised. */
interface Raised {
  readonly type: string;
  readonly status: number;
  readonly message: string;
}

interface Client {
  readonly name: string;
  readonly isSkipped?: boolean;
  /** The text of the response. Throws what the client throws. */
  readonly call: (key: MintedKey, model: string) => Promise<string>;
  /** The client's own exception as we tell it. */
  readonly tell: (thrown: unknown) => Raised;
  /** Names of its own that it has for AWS's types. */
  readonly names?: Readonly<Record<string, string>>;
}

async function callAwsSdk(model: string, identity: object): Promise<string> {
  const client = new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: testbed.url,
    ...identity,
  });
  clients.push(client);
  const messages = [{ role: 'user' as const, content: [{ text: 'hi' }] }];
  const response = await client.send(
    new ConverseCommand({ modelId: model, messages, inferenceConfig: { maxTokens: 10 } }),
  );
  return response.output?.message?.content?.[0]?.text ?? '';
}

function bearer({ key }: MintedKey): object {
  return { token: { token: key }, authSchemePreference: ['httpBearerAuth'] };
}

function tellAwsSdk(thrown: unknown): Raised {
  const error = thrown as Error & { $metadata: { httpStatusCode: number } };
  return { type: error.name, status: error.$metadata.httpStatusCode, message: error.message };
}

async function callAnthropic(model: string, credentials: object): Promise<string> {
  const client = new AnthropicBedrock({ awsRegion: 'us-east-1', baseURL: testbed.url, ...credentials });
  const messages = [{ role: 'user' as const, content: 'hi' }];
  const { content } = await client.messages.create({ model, max_tokens: 10, messages });
  return content[0]?.type === 'text' ? content[0].text : '';
}

function tellAnthropic(thrown: unknown): Raised {
  const error = thrown as Error & { status: number };
  return { type: error.constructor.name, status: error.status, message: error.message };
}

const ANTHROPIC_NAMES = {
  ServiceQuotaExceededException: 'PaymentRequiredError',
  AccessDeniedException: 'PermissionDeniedError',
  UnrecognizedClientException: 'AuthenticationError',
};

class Boto3Raised extends Error {
  readonly told: Raised;

  constructor({ type, status, message }: Raised) {
    super(message);
    this.told = { type, status, message };
  }
}

async function callBoto3(key: MintedKey, model: string): Promise<string> {
  const name = model === UNPRICED ? 'converse_unpriced' : 'converse_as_is';
  const told = (await boto3?.run(name, testbed.url, `${key.accessKeyId},${key.key}`)) as { result: string } & Raised;
  if (told.result === undefined) throw new Boto3Raised(told);
  return told.result;
}

const CLIENTS: readonly Client[] = [
  {
    name: 'AWS SDK for JavaScript, HTTP/2, with a bearer key',
    call: (key, model) => callAwsSdk(model, bearer(key)),
    tell: tellAwsSdk,
  },
  {
    name: 'AWS SDK for JavaScript, HTTP/1.1, with a bearer key',
    call: (key, model) => callAwsSdk(model, { ...bearer(key), requestHandler: new NodeHttpHandler() }),
    tell: tellAwsSdk,
  },
  {
    name: 'AWS SDK for JavaScript with the key pair',
    call: ({ accessKeyId, key }, model) => callAwsSdk(model, { credentials: { accessKeyId, secretAccessKey: key } }),
    tell: tellAwsSdk,
  },
  {
    name: 'Anthropic SDK with a bearer key',
    call: (key, model) => callAnthropic(model, { apiKey: key.key }),
    tell: tellAnthropic,
    names: ANTHROPIC_NAMES,
  },
  {
    name: 'Anthropic SDK with the key pair',
    call: (key, model) => callAnthropic(model, { awsAccessKey: key.accessKeyId, awsSecretKey: key.key }),
    tell: tellAnthropic,
    names: ANTHROPIC_NAMES,
  },
  {
    name: 'boto3 (skipped where no Python has it)',
    isSkipped: PYTHON_WITH_BOTO3 === undefined,
    call: callBoto3,
    names: { UnrecognizedClientException: 'ClientError' },
    tell: (thrown) => (thrown instanceof Boto3Raised ? thrown.told : { type: String(thrown), status: 0, message: '' }),
  },
];

function budget(limitNanoUsd: number): KeyPolicy['budget'] {
  return { limitNanoUsd, windowMs: undefined, anchorMs: 0 };
}

interface Refusal {
  readonly name: string;
  readonly policy?: Partial<KeyPolicy>;
  readonly model?: string;
  /** Done to the key once it is made. */
  readonly spoil?: (id: string) => Promise<unknown>;
  readonly code: string;
  readonly type: string;
  readonly status: number;
  readonly says: RegExp;
}

const REFUSALS: readonly Refusal[] = [
  {
    name: 'an exhausted budget',
    policy: { budget: budget(1) },
    code: 'ERR_BUDGET_EXCEEDED',
    type: 'ServiceQuotaExceededException',
    status: 402,
    says: /This key has spent \$0\.00 of its budget of \$0\.000000001/,
  },
  {
    name: 'a model without a price',
    policy: { budget: budget(1e12) },
    model: UNPRICED,
    code: 'ERR_UNPRICED',
    type: 'ServiceQuotaExceededException',
    status: 402,
    says: /nobody knows what the model .*nobody\.knows-v1:0.* would cost.*--allow-unpriced/,
  },
  {
    name: 'a model that is not on the list',
    policy: { models: ['amazon.*'] },
    code: 'ERR_MODEL_NOT_ALLOWED',
    type: 'AccessDeniedException',
    status: 403,
    says: /claude-sonnet/,
  },
  {
    name: 'a region that is not on the list',
    policy: { regions: ['eu-*'] },
    code: 'ERR_REGION_NOT_ALLOWED',
    type: 'AccessDeniedException',
    status: 403,
    says: /us-east-1/,
  },
  {
    name: 'an expired key',
    spoil: (id) => testbed.store.updateKey(id, { expiresAtMs: Date.now() - 1 }, Date.now()),
    code: 'ERR_KEY_EXPIRED',
    type: 'UnrecognizedClientException',
    status: 401,
    says: /expired/,
  },
  {
    name: 'a blocked key',
    spoil: (id) => testbed.store.updateKey(id, { blockedAtMs: Date.now() }, Date.now()),
    code: 'ERR_KEY_BLOCKED',
    type: 'UnrecognizedClientException',
    status: 401,
    says: /blocked/,
  },
];

async function keyWith(policy: Partial<KeyPolicy> = {}): Promise<MintedKey> {
  return await testbed.mint('limited', { policy: { ...EMPTY_POLICY, ...policy } });
}

describe.each(CLIENTS)('$name', ({ isSkipped, call, tell, names = {} }) => {
  it.skipIf(isSkipped).each(REFUSALS)(
    'makes the client send once what is refused for $name, and raise what it is told',
    async ({ policy, model = SONNET, spoil, code, type, status, says }) => {
      const key = await keyWith(policy);
      const [row] = await testbed.store.listKeys();
      await spoil?.(row?.id ?? '');
      const raised = await call(key, model).then((text) => expect.unreachable(text), tell);
      expect(raised).toEqual({ type: names[type] ?? type, status, message: expect.stringMatching(says) });
      expect(testbed.records.map(({ error }) => error?.code)).toEqual([code]);
      expect(testbed.upstream.requests).toEqual([]);
    },
  );

  it.skipIf(isSkipped)(
    'makes the client try again what was refused for its rate, and succeed when there is room',
    async () => {
      const key = await keyWith({ maxParallel: 1 });
      const held = new Promise<ServerResponse>((resolve) => {
        testbed.upstream.respondWith((_request, response) => resolve(response));
      });
      const first = fetch(`${testbed.url}/model/${SONNET}/invoke`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key.key}` },
        body: '{}',
      });
      const response = await held;
      const refused = testbed.nextRecord();
      const second = call(key, SONNET);
      expect((await refused).error).toMatchObject({ code: 'ERR_TOO_MANY_PARALLEL', retryAfterSeconds: 1 });
      testbed.upstream.respondWith((_request, later) => sendJson(later, 200, RESPONSE));
      sendJson(response, 200, RESPONSE);
      await (await first).arrayBuffer();
      expect(await second).toBe('Hallo');
      // boto3 does not wait for as long as `retry-after` says, and may have been refused once more.
      const statuses = testbed.records.map(({ status }) => status);
      expect([statuses[0], ...statuses.slice(-2)]).toEqual([429, 200, 200]);
      expect(testbed.upstream.requests).toHaveLength(2);
    },
  );
});

describe('the AWS SDK for JavaScript has classes of its own for', () => {
  it.each([
    { name: 'an exhausted budget', policy: { budget: budget(1) }, raised: ServiceQuotaExceededException },
    { name: 'a model that is not on the list', policy: { models: ['amazon.*'] }, raised: AccessDeniedException },
    { name: 'too many requests', policy: { requestsPerMinute: 1 }, raised: ThrottlingException },
  ])('makes the AWS SDK throw a class of its own for $name', async ({ policy, raised }) => {
    const key = await keyWith(policy);
    const once = { ...bearer(key), maxAttempts: 1 };
    if (raised === ThrottlingException) await callAwsSdk(SONNET, once);
    await expect(callAwsSdk(SONNET, once)).rejects.toBeInstanceOf(raised);
  });
});
