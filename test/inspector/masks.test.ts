/** Credentials never reach what is kept, under whatever name and in whatever case they come. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskHeaders, maskTarget } from '../../src/inspector/masks.ts';

const SECRET = 'Zq7vK2mN8pR4sT6wX9yB3cD5';
const SIGNATURE = 'a'.repeat(64);

describe('headers', () => {
  it.each([
    ['Authorization', `Bearer ${SECRET}`],
    ['authorization', `Basic ${SECRET}`],
    ['Proxy-Authorization', `Basic ${SECRET}`],
    ['x-api-key', SECRET],
    ['X-API-KEY', SECRET],
    ['api-key', SECRET],
    ['litellm_user_api_key', SECRET],
    ['x-litellm-api-key', SECRET],
    ['x-goog-api-key', SECRET],
    ['Ocp-Apim-Subscription-Key', SECRET],
    ['x-auth-token', SECRET],
    ['x-access-token', SECRET],
    ['client-secret', SECRET],
    ['X-Vault-Token', SECRET],
    ['private-token', SECRET],
    ['x-functions-key', SECRET],
    ['x-secret-key', SECRET],
    ['x-authorization', SECRET],
    ['helicone-auth', `Bearer ${SECRET}`],
    ['x-auth0-token', SECRET],
    ['Cf-Access-Jwt-Assertion', SECRET],
    ['x-amzn-oidc-data', SECRET],
    ['x-forwarded-user-jwt', SECRET],
    ['x-csrf-token', SECRET],
    ['x-hub-signature', SECRET],
    ['x-whoever', `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.${SECRET}`],
    ['sec-websocket-protocol', `base64UrlBearerAuthorization.${SECRET}, base64UrlBearerAuthorization`],
    ['Cookie', `session=${SECRET}`],
    ['Set-Cookie', `session=${SECRET}`],
    ['x-amz-security-token', SECRET],
    ['X-Amz-Bedrock-AgentCore-WorkloadAccessToken', SECRET],
    ['user-agent', `tool/1 sk-${SECRET}`],
    ['x-note', `AKIA${'Q'.repeat(16)}`],
    ['x-other', `bedrock-api-key-${SECRET}`],
  ])('masks the value of %s', (name, value) => {
    const [[keptName, kept = ''] = []] = maskHeaders([[name, value]]);
    expect(keptName).toBe(name);
    expect(kept).not.toContain(SECRET);
    expect(kept).not.toContain('Q'.repeat(9));
  });

  it('keeps of a signature who signed for what, and neither the key nor the signature', () => {
    const scope = '20261128/us-east-1/bedrock/aws4_request';
    const value = `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/${scope}, SignedHeaders=host;x-amz-date, Signature=${SIGNATURE}`;
    expect(maskHeaders([['authorization', value]])).toEqual([
      [
        'authorization',
        `AWS4-HMAC-SHA256 Credential=AKIA…MPLE/${scope}, SignedHeaders=host;x-amz-date, Signature=[masked]`,
      ],
    ]);
    const odd = value.replaceAll(', ', ',').replace('Signature=', ' signature=');
    expect(JSON.stringify(maskHeaders([['authorization', odd]]))).not.toContain(SIGNATURE);
  });

  it('leaves all others as they came, repeats and order too', () => {
    const headers = [
      ['Content-Type', 'application/json'],
      ['anthropic-beta', 'a'],
      ['anthropic-beta', 'b'],
      ['x-amzn-bedrock-trace', 'ENABLED'],
      ['amz-sdk-invocation-id', '7f3c'],
      ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
      ['Idempotency-Key', '7f3c'],
      ['x-amzn-bedrock-input-token-count', '12'],
      ['anthropic-ratelimit-tokens-remaining', '12'],
    ] as const;
    expect(maskHeaders(headers)).toEqual(headers);
  });

  it('keeps no secret of a header that holds one, whatever stands around it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (before, after) => {
        const masked = maskHeaders([['authorization', `${before}${SECRET}${after}`]]);
        expect(JSON.stringify(masked)).not.toContain(SECRET);
      }),
    );
  });
});

describe('targets', () => {
  it('masks the parameters of a presigned URL, and leaves the path', () => {
    const query =
      `X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261128%2Fus-east-1%2Fbedrock%2Faws4_request` +
      `&X-Amz-Security-Token=${SECRET}&X-Amz-Signature=${SIGNATURE}&maxResults=5&nextToken=abc`;
    const masked = maskTarget(`/model/a%2Fb/invoke?${query}`);
    expect(masked).toMatch(/^\/model\/a%2Fb\/invoke\?/);
    expect(masked).not.toContain(SECRET);
    expect(masked).not.toContain(SIGNATURE);
    expect(masked).not.toContain('IOSFODNN7');
    expect(masked).toContain('maxResults=5&nextToken=abc');
  });

  it.each(['key', 'api_key', 'access_token', 'auth', 'Authorization', 'access%5Ftoken', 'client_assertion'])(
    'masks the parameter %s',
    (name) => {
      expect(maskTarget(`/x?${name}=${SECRET}`)).toBe(`/x?${name}=[masked]`);
    },
  );
});
