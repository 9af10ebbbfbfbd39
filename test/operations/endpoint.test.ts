import { BedrockClient } from '@aws-sdk/client-bedrock';
import { BedrockAgentCoreClient } from '@aws-sdk/client-bedrock-agentcore';
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { describe, expect, it } from 'vitest';
import { type EndpointOptions, findEndpoint, parseEndpointUrl } from '../../src/operations/endpoint.ts';
import { chooseRegion } from '../../src/protocol/region.ts';
import type { ServiceId } from '../../src/operations/catalog.ts';

const PLAIN: EndpointOptions = { fips: false, dualstack: false, endpointUrls: new Map() };
const region = (name: string) => chooseRegion({ header: name, scope: undefined, arn: undefined, default: undefined });

function overridden(...values: string[]): EndpointOptions {
  const endpointUrls = new Map();
  for (const value of values) {
    const parsed = parseEndpointUrl(value);
    if ('problem' in parsed) throw new Error(parsed.problem);
    endpointUrls.set(parsed.service, parsed.template);
  }
  return { ...PLAIN, endpointUrls };
}

describe('findEndpoint', () => {
  const clients = [
    ['bedrock', new BedrockClient({ region: 'us-east-1' })],
    ['bedrock-runtime', new BedrockRuntimeClient({ region: 'us-east-1' })],
    ['bedrock-agentcore', new BedrockAgentCoreClient({ region: 'us-east-1' })],
  ] as const;
  const regions = [
    'us-east-1',
    'us-gov-west-1',
    'cn-north-1',
    'eusc-de-east-1',
    'us-iso-east-1',
    'us-isob-east-1',
    'eu-isoe-west-1',
    'us-isof-south-1',
  ];

  it.each(regions)('finds the hosts of the AWS SDK in %s', (name) => {
    for (const [service, client] of clients) {
      for (const fips of [false, true]) {
        for (const dualstack of [false, true]) {
          const { url } = client.config.endpointProvider({ Region: name, UseFIPS: fips, UseDualStack: dualstack });
          expect(findEndpoint(service, region(name), { ...PLAIN, fips, dualstack })).toEqual({
            origin: url.origin,
            host: url.host,
            pathPrefix: '',
          });
        }
      }
    }
  });

  it.each([
    ['mantle', 'bedrock-mantle', {}, 'bedrock-mantle.us-east-1.api.aws'],
    ['mantle with dual-stack', 'bedrock-mantle', { dualstack: true }, 'bedrock-mantle.us-east-1.api.aws'],
  ] as const)('finds the host of %s', (_, service, options, host) => {
    expect(findEndpoint(service, region('us-east-1'), { ...PLAIN, ...options })).toEqual({
      origin: `https://${host}`,
      host,
      pathPrefix: '',
    });
  });

  it('gives every gateway its own host', () => {
    const { host } = findEndpoint('agentcore-gateway', region('eu-west-1'), PLAIN, 'my-gateway-1');
    expect(host).toBe('my-gateway-1.gateway.bedrock-agentcore.eu-west-1.amazonaws.com');
  });

  it.each(['bedrock-mantle', 'agentcore-gateway'] as const)('does not fall back from FIPS for %s', (service) => {
    expect(() => findEndpoint(service, region('us-east-1'), { ...PLAIN, fips: true }, 'g')).toThrow(
      expect.objectContaining({ code: 'ERR_NOT_SUPPORTED' }),
    );
  });

  it.each([
    ['one for all', ['http://127.0.0.1:9000'], 'http://127.0.0.1:9000', ''],
    ['the default port', ['https://vpce.test:443/'], 'https://vpce.test', ''],
    ['the default port of http', ['http://vpce.test:80'], 'http://vpce.test', ''],
    ['another port that begins like the default', ['https://a.test:4430'], 'https://a.test:4430', ''],
    ['another port that ends alike', ['http://a.test:8080'], 'http://a.test:8080', ''],
    ['a path', ['https://gw.test/aws/{service}/{region}/'], 'https://gw.test', '/aws/bedrock-runtime/eu-west-1'],
    ['placeholders', ['https://{service}.{region}.vpce.test'], 'https://bedrock-runtime.eu-west-1.vpce.test', ''],
    ['one of its own', ['http://all.test', 'bedrock-runtime=http://own.test'], 'http://own.test', ''],
    ['IPv6', ['http://[::1]:9000'], 'http://[::1]:9000', ''],
    ['capitals', ['https://VPCE.test'], 'https://vpce.test', ''],
  ])("takes an operator's endpoint: %s", (_, values, origin, pathPrefix) => {
    const options = { ...overridden(...values), fips: true, dualstack: true };
    const host = origin.replace(/^https?:\/\//, '');
    expect(findEndpoint('bedrock-runtime', region('eu-west-1'), options)).toEqual({ origin, host, pathPrefix });
  });

  it('leaves the other services alone if one has an endpoint of its own', () => {
    const options = overridden('bedrock-runtime=http://own.test');
    expect(findEndpoint('bedrock', region('eu-west-1'), options).host).toBe('bedrock.eu-west-1.amazonaws.com');
  });
});

describe('parseEndpointUrl', () => {
  it('parses an endpoint for every service', () => {
    const services: ServiceId[] = ['bedrock-mantle', 'agentcore-gateway', 'bedrock-data-automation-runtime'];
    for (const service of services) expect(parseEndpointUrl(`${service}=https://a.test`)).toMatchObject({ service });
  });

  it.each([
    ['no scheme', 'localhost:9000', 'http://'],
    ['another scheme', 'ftp://a.test', 'http://'],
    ['no host', 'https://', 'http://'],
    ['a user', 'https://user:pw@a.test', 'user'],
    ['a query', 'https://a.test/?x', 'query'],
    ['a fragment', 'https://a.test/#x', 'fragment'],
    ['an unknown service', 's3=https://a.test', 'bedrock-runtime'],
    ['an inherited name', 'constructor=https://a.test', 'bedrock-runtime'],
    ['an unknown placeholder', 'https://{account}.test', '{region}'],
    ['an unknown placeholder in the path', 'https://a.test/{account}', '{region}'],
    ['a port that is none', 'https://a.test:99999', 'host'],
    ['a dot segment', 'https://a.test/x/../y', 'path'],
    ['a space', 'https://a.test/x y', 'http://'],
    ['a line break', 'https://a.test\nx', 'http://'],
    ['nothing', '', 'http://'],
  ])('says what is wrong with an endpoint that has %s', (_, value, words) => {
    expect(parseEndpointUrl(value)).toEqual({ problem: expect.stringContaining(words) });
  });
});
