import { expect, it } from 'vitest';
import { parseTarget } from '../../src/http/target.ts';
import { useInferenceProfile } from '../../src/routing/inference-profile.ts';
import { findRoute, type Route } from '../../src/routing/route.ts';
import { parseEndpointUrl } from '../../src/operations/endpoint.ts';

const NOVA = 'us.amazon.nova-lite-v1:0';
const arnIn = (region: string): string =>
  `arn:aws:bedrock:${region}:111122223333:application-inference-profile/abcdefgh1234`;
const PROFILES = { [NOVA]: [arnIn('us-east-1'), arnIn('eu-west-1')] };

function routeOf(path: string, { region = 'us-east-1', endpointUrl }: { region?: string; endpointUrl?: string } = {}) {
  const parsed = endpointUrl === undefined ? undefined : parseEndpointUrl(endpointUrl);
  const endpointUrls = new Map(parsed !== undefined && 'template' in parsed ? [['*' as const, parsed.template]] : []);
  const config = { defaultRegion: region, openaiUpstream: 'runtime' as const, fips: false, dualstack: false };
  const target = parseTarget(path);
  const input = { method: 'POST', target, headers: [], scope: undefined, mountPath: '' };
  return findRoute({ ...input, config: { ...config, endpointUrls } });
}

const sentBy = (route: Route): string => useInferenceProfile(route, PROFILES).upstreamTarget.raw;

it.each([
  [`/model/${NOVA}/converse`, 'converse'],
  [`/model/us.amazon.nova-lite-v1%3A0/converse-stream`, 'converse-stream'],
  [`/model/${NOVA}/invoke?a=b`, 'invoke?a=b'],
  [`/model/${NOVA}/invoke-with-response-stream`, 'invoke-with-response-stream'],
  [`/model/${NOVA}/invoke-with-bidirectional-stream`, 'invoke-with-bidirectional-stream'],
])('takes the place of the model in %s', (path, end) => {
  const route = routeOf(path);
  const used = useInferenceProfile(route, PROFILES);
  expect(used.upstreamTarget.raw).toBe(`/model/${encodeURIComponent(arnIn('us-east-1'))}/${end}`);
  expect(used).toEqual({
    ...route,
    inferenceProfile: arnIn('us-east-1'),
    upstreamTarget: parseTarget(used.upstreamTarget.raw),
  });
});

it('is the one of the region', () => {
  expect(sentBy(routeOf(`/model/${NOVA}/converse`, { region: 'eu-west-1' }))).toContain('eu-west-1');
  const elsewhere = routeOf(`/model/${NOVA}/converse`, { region: 'us-west-2' });
  expect(useInferenceProfile(elsewhere, PROFILES)).toBe(elsewhere);
});

it('keeps the path prefix of an endpoint, whatever its name is', () => {
  const route = routeOf(`/model/${NOVA}/converse`, { endpointUrl: 'http://gateway/model/x' });
  expect(sentBy(route)).toBe(`/model/x/model/${encodeURIComponent(arnIn('us-east-1'))}/converse`);
});

it.each([
  '/model/amazon.nova-lite-v1:0/converse',
  `/model/${NOVA}/count-tokens`,
  `/bedrock-runtime/model/${NOVA}/of-tomorrow`,
  `/guardrail/${NOVA}/version/1/apply`,
  '/model/__proto__/converse',
  '/openai/v1/chat/completions',
])('leaves %s alone', (path) => {
  const route = routeOf(path);
  expect(useInferenceProfile(route, PROFILES)).toBe(route);
});
