import { expect, it } from 'vitest';
import { readApiKey } from '../../../src/upstream/aws/api-key.ts';

const PRESIGNED =
  'bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Algorithm=AWS4-HMAC-SHA256' +
  '&X-Amz-Credential=AKIDEXAMPLE%2F20261122%2Feu-west-1%2Fbedrock%2Faws4_request&X-Amz-Date=20261122T100000Z' +
  '&X-Amz-Expires=43200&X-Amz-SignedHeaders=host&X-Amz-Signature=00&Version=1';

it('reads region and expiry out of a short-term API key', () => {
  const token = `bedrock-api-key-${Buffer.from(PRESIGNED).toString('base64')}`;
  expect(readApiKey(token)).toEqual({
    token,
    region: 'eu-west-1',
    expiresAtMs: Date.parse('2026-11-22T22:00:00Z'),
  });
});

it.each(['ABSKQmVkcm9ja0FQSUtleS0x', 'bedrock-api-key-', 'bedrock-api-key-%%%', 'bedrock-api-key-aGVsbG8='])(
  'reads neither region nor expiry out of %s',
  (token) => {
    expect(readApiKey(token)).toEqual({ token, region: undefined, expiresAtMs: undefined });
  },
);
