/**
 * The owner's AWS credentials: used for every request, replaced when AWS says they are no good, asked for when missing.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { sendAwsError } from '../helpers/fake-upstream.ts';
import { openProxy } from '../helpers/proxy-test.ts';
import { AWS_PAIR, type Testbed } from '../helpers/testbed.ts';
import { ask, type RawResponse } from '../helpers/raw-socket.ts';

const SESSION_TOKEN = 'FwoGZXIvYXdzEXAMPLE//token+with=signs';

let testbed: Testbed | undefined;
let loads = 0;

beforeEach(() => {
  loads = 0;
});

function post(): Promise<RawResponse> {
  return ask(testbed?.port ?? 0, 'POST /bedrock/model/a.b/invoke HTTP/1.1', [
    'Host: localhost',
    'x-amz-security-token: theirs',
  ]);
}

describe('credentials of the owner', () => {
  it("signs and sends the session token of the owner's credentials", async () => {
    testbed = await openProxy({ sessionToken: SESSION_TOKEN });
    expect((await post()).status).toBe(200);
    const request = await testbed.upstream.nextRequest();
    expect(request.headers.filter(([name]) => /^x-amz-security-token$/i.test(name)).map(([, value]) => value)).toEqual([
      SESSION_TOKEN,
    ]);
    expect(request.signature?.signedHeaders).toContain('x-amz-security-token');
  });

  it('sends no session token if the owner has none, whatever the client sent', async () => {
    testbed = await openProxy();
    expect((await post()).status).toBe(200);
    expect((await testbed.upstream.nextRequest()).header('x-amz-security-token')).toBeUndefined();
  });

  it.each([
    { status: 403, type: 'ExpiredTokenException' },
    { status: 400, type: 'ExpiredToken' },
    { status: 403, type: 'UnrecognizedClientException' },
    { status: 403, type: 'InvalidSignatureException' },
    { status: 403, type: 'InvalidClientTokenId' },
  ])(
    'looks credentials up again if AWS refuses with $type, and lets the client decide if they are the same',
    async ({ status, type }) => {
      testbed = await openProxy({ load: countingLoad(async () => AWS_PAIR) });
      testbed.upstream.respondWith((_, response) => sendAwsError(response, { status, type, message: 'gone' }));
      const refused = await post();
      expect(refused.status).toBe(status);
      expect(refused.header('x-amzn-errortype')).toContain(type);
      expect(testbed.upstream.requests).toHaveLength(1);
      expect(loads).toBe(2);
      // Once more, because a login may have renewed them meanwhile; but not at every request.
      for (let count = 0; count < 3; count += 1) await post();
      expect(loads).toBe(3);
    },
  );

  it('keeps credentials that AWS refuses for a policy', async () => {
    testbed = await openProxy({ load: countingLoad(async () => AWS_PAIR) });
    testbed.upstream.respondWith((_, response) =>
      sendAwsError(response, { status: 403, type: 'AccessDeniedException', message: 'no' }),
    );
    await post();
    await post();
    expect(loads).toBe(1);
  });
});

function countingLoad(load: () => Promise<typeof AWS_PAIR>): () => Promise<typeof AWS_PAIR> {
  return () => {
    loads += 1;
    return load();
  };
}
