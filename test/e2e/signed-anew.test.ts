/**
 * AWS refuses a signature for what can be cured at once: the request is signed anew and sent once more, and the client
 * sees nothing of it. A refusal that would come again is the client's, as it came.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { sendAwsError } from '../helpers/fake-upstream.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { ask } from '../helpers/raw-socket.ts';
import { AWS_PAIR, type Testbed } from '../helpers/testbed.ts';

const HOUR_MS = 3_600_000;
const OLD_PAIR = { accessKeyId: 'AKIDOLD', secretAccessKey: 'old' };

function send(testbed: Testbed, body: Buffer = Buffer.from('{}')) {
  const headers = ['Host: localhost', `Content-Length: ${body.length}`];
  return ask(testbed.port, 'POST /bedrock/model/amazon.nova-lite-v1:0/invoke HTTP/1.1', headers, body);
}

/** The refusals that this test provoked, by what was wrong. */
function takeFailures({ upstream }: Testbed): number {
  return upstream.failures.splice(0).length;
}

describe.each([
  { clock: 'an hour ahead', offMs: HOUR_MS, told: '60 minutes ahead of' },
  { clock: 'an hour behind', offMs: -HOUR_MS, told: '60 minutes behind' },
])('with a clock that is $clock', ({ offMs, told }) => {
  it('a request is signed anew by the time of AWS, and those after it are right at once', async () => {
    const testbed = await openProxy({ signingMs: () => Date.now() + offMs });
    expect((await send(testbed)).status).toBe(200);
    expect((await send(testbed, Buffer.alloc(9_000_000, ' '))).status).toBe(200);
    expect(takeFailures(testbed)).toBe(1);
    expect(testbed.upstream.requests).toHaveLength(3);
    expect(testbed.warnings).toEqual([
      `The clock of this machine is ${told} AWS's. Signatures bear AWS's time; set the clock.`,
    ]);
    expect(testbed.records.map(({ status, upstreamErrorType }) => [status, upstreamErrorType])).toEqual([
      [200, undefined],
      [200, undefined],
    ]);
  });

  it('a clock that is set right is trusted again, and told again if it goes wrong once more', async () => {
    let nowOffMs = offMs;
    const testbed = await openProxy({ signingMs: () => Date.now() + nowOffMs });
    for (const next of [offMs, 0, 0, offMs]) {
      nowOffMs = next;
      expect((await send(testbed)).status).toBe(200);
    }
    // One for each change of the clock.
    expect(takeFailures(testbed)).toBe(3);
    expect(testbed.warnings).toHaveLength(2);
  });
});

it('many requests at once with a wrong clock are all signed anew, and the owner is told once', async () => {
  const testbed = await openProxy({ signingMs: () => Date.now() + HOUR_MS });
  const responses = await Promise.all(Array.from({ length: 20 }, () => send(testbed)));
  expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200));
  expect(takeFailures(testbed)).toBeGreaterThan(0);
  expect(testbed.warnings).toHaveLength(1);
});

describe('credentials that AWS refuses', () => {
  it('are looked up anew, and the request is sent once more if there are others', async () => {
    const pairs = [OLD_PAIR, AWS_PAIR];
    const testbed = await openProxy({ load: async () => pairs.shift() ?? AWS_PAIR });
    const body = Buffer.alloc(9_000_000, ' ');
    expect((await send(testbed, body)).status).toBe(200);
    expect(takeFailures(testbed)).toBe(1);
    expect(testbed.upstream.requests.map((request) => request.body.equals(body))).toEqual([true, true]);
  });

  it.each([
    { name: 'are the same after a look-up', load: async () => OLD_PAIR },
    {
      name: 'cannot be looked up again',
      load: (() => {
        let calls = 0;
        return async () => {
          if ((calls += 1) > 1) throw new Error('no luck');
          return OLD_PAIR;
        };
      })(),
    },
  ])('lead to the refusal as it came if they $name', async ({ load }) => {
    const testbed = await openProxy({ load });
    const response = await send(testbed);
    expect([response.status, response.header('x-amzn-errortype')]).toEqual([
      403,
      'InvalidSignatureException:http://internal.amazon.com/coral/',
    ]);
    expect(JSON.parse(response.body.toString())).toEqual({ message: 'signed with the access key id AKIDOLD' });
    expect(takeFailures(testbed)).toBe(1);
    expect(testbed.records[0]).toMatchObject({ status: 403, upstreamErrorType: 'InvalidSignatureException' });
  });

  it('are looked up once for all requests that are refused at once, and all are sent once more', async () => {
    let calls = 0;
    const load = async () => {
      if ((calls += 1) === 1) return OLD_PAIR;
      await delay(50);
      return AWS_PAIR;
    };
    const testbed = await openProxy({ load });
    const responses = await Promise.all(Array.from({ length: 20 }, () => send(testbed)));
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200));
    expect(takeFailures(testbed)).toBeGreaterThan(1);
    expect((await send(testbed)).status).toBe(200);
    expect(calls).toBe(2);
  });

  it('are tried twice, and not more often', async () => {
    let calls = 0;
    const testbed = await openProxy({ load: async () => ({ ...OLD_PAIR, accessKeyId: `AKID${(calls += 1)}` }) });
    expect((await send(testbed)).status).toBe(403);
    expect(takeFailures(testbed)).toBe(2);
  });
});

it.each([
  { name: 'a policy', error: { status: 403, type: 'AccessDeniedException', message: 'no' } },
  { name: 'its input', error: { status: 400, type: 'ValidationException', message: 'no' } },
  { name: 'too many', error: { status: 429, type: 'ThrottlingException', message: 'no' } },
])('what AWS refuses for $name is sent once', async ({ error }) => {
  const testbed = await openProxy();
  testbed.upstream.respondWith((_, response) => sendAwsError(response, error));
  expect((await send(testbed)).status).toBe(error.status);
  expect(testbed.upstream.requests).toHaveLength(1);
});
