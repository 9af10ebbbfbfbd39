/** What is made ready once, before any upstream is known. */
import { expect, it } from 'vitest';
import { EMPTY_SHA256 } from '../../src/http/body.ts';
import { parseTarget } from '../../src/http/target.ts';
import { findRoute } from '../../src/routing/route.ts';
import { prepare } from '../../src/upstream/prepare.ts';

const BODY = { chunks: [], sizeBytes: 0, sha256: EMPTY_SHA256 };
const CONFIG = {
  defaultRegion: 'us-east-1',
  openaiUpstream: 'runtime' as const,
  fips: false,
  dualstack: false,
  endpointUrls: new Map(),
};
const routeOf = (path: string) =>
  findRoute({
    method: 'POST',
    target: parseTarget(path),
    headers: [],
    scope: undefined,
    mountPath: '',
    config: CONFIG,
  });
const TOKEN = { viaName: undefined, oauthAuthorization: 'Bearer a.b.c', toldPrincipal: undefined };

it('leaves authorization and host out of the prepared headers, for the attempt to set', () => {
  const headers = [
    ['Host', 'localhost'],
    ['Authorization', 'Bearer sk-abc'],
    ['Accept', '*/*'],
  ] as const;
  expect(prepare(headers, routeOf('/model/a/converse'), BODY, TOKEN).headers.map(([name]) => name)).toEqual([
    'Accept',
    'accept-encoding',
  ]);
});

it.each([
  { path: '/model/a/converse', kept: undefined },
  {
    path: '/runtimes/arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fx_agent-AbCdEf1234/invocations',
    kept: 'Bearer a.b.c',
  },
])('keeps an OAuth token only for agents that take one: $path', ({ path, kept }) => {
  expect(prepare([], routeOf(path), BODY, TOKEN).oauthAuthorization).toBe(kept);
});
