import { describe, expect, it } from 'vitest';
import { parseTarget } from '../../src/http/target.ts';
import { parseEndpointUrl } from '../../src/operations/endpoint.ts';
import { relocateRoute } from '../../src/routing/relocate.ts';
import { findRoute, type Route, type RoutingConfig } from '../../src/routing/route.ts';

const PLAIN: RoutingConfig = {
  defaultRegion: 'us-east-1',
  openaiUpstream: 'runtime',
  fips: false,
  dualstack: false,
  endpointUrls: new Map(),
};

function routeOf(rawTarget: string, config = PLAIN): Route {
  const target = parseTarget(rawTarget);
  return findRoute({ method: 'POST', target, scope: undefined, headers: [], mountPath: '/bedrock', config });
}

function endpointOf(url: string): RoutingConfig['endpointUrls'] {
  const parsed = parseEndpointUrl(url);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return new Map([['*', parsed.template]]);
}

const CONVERSE = '/bedrock/model/us.amazon.nova-lite-v1%3A0/converse?a=%2f';

describe('the same request elsewhere', () => {
  it('has the host and the region of that place, and all else as it was', () => {
    const route = routeOf(CONVERSE);
    expect(relocateRoute(route, { region: 'eu-west-1', modelId: undefined }, PLAIN)).toEqual({
      ...route,
      region: 'eu-west-1',
      origin: 'https://bedrock-runtime.eu-west-1.amazonaws.com',
      host: 'bedrock-runtime.eu-west-1.amazonaws.com',
    });
  });

  it('is what it was if nothing is said of the place', () => {
    const route = routeOf(CONVERSE);
    expect(relocateRoute(route, { region: undefined, modelId: undefined }, PLAIN)).toEqual(route);
  });

  it('has the name of the model in its path that it has there, and remembers the other', () => {
    const route = relocateRoute(routeOf(CONVERSE), { region: undefined, modelId: 'eu.amazon.nova-lite-v1:0' }, PLAIN);
    expect(route).toMatchObject({ modelId: 'eu.amazon.nova-lite-v1:0', modelAlias: 'us.amazon.nova-lite-v1:0' });
    expect(route.upstreamTarget.raw).toBe('/model/eu.amazon.nova-lite-v1%3A0/converse?a=%2f');
  });

  it('takes the path prefix of the endpoint there for that of the endpoint here', () => {
    const here = { ...PLAIN, endpointUrls: endpointOf('https://a.example/one') };
    const there = { ...PLAIN, endpointUrls: endpointOf('https://b.example/two/three') };
    const route = relocateRoute(routeOf(CONVERSE, here), { region: undefined, modelId: undefined }, there);
    expect(route.upstreamTarget.raw).toBe('/two/three/model/us.amazon.nova-lite-v1%3A0/converse?a=%2f');
    expect(route.origin).toBe('https://b.example');
  });

  it('shows no API key to another partition', () => {
    const route = routeOf(CONVERSE);
    const there = relocateRoute(route, { region: 'us-gov-west-1', modelId: undefined }, PLAIN);
    const back = relocateRoute(there, { region: 'us-east-1', modelId: undefined }, PLAIN);
    expect([route, there, back].map(({ bearerKeys }) => bearerKeys)).toEqual([true, false, true]);
  });

  it('is elsewhere too if its body makes it another one', () => {
    const route = routeOf('/bedrock/v1/chat/completions');
    const there = relocateRoute(route, { region: 'us-west-2', modelId: undefined }, PLAIN);
    expect(there.otherwise?.route.region).toBe(route.otherwise === undefined ? undefined : 'us-west-2');
    expect(there.origin).toContain('us-west-2');
  });
});
