import { parseTarget } from '../../../src/http/target.ts';
import { describe, expect, it } from 'vitest';
import { respondToRequest, findPlayedHost, type PlayedHost } from '../../../src/upstream/offline/dispatch.ts';
import { SERVICES } from '../../../src/operations/catalog.ts';
import { createOfflineState } from '../../../src/upstream/offline/state.ts';

describe('findPlayedHost', () => {
  it.each([...SERVICES.keys()].filter((id) => id !== 'agentcore-gateway'))('plays the host of %s', (id) => {
    const suffix = id === 'bedrock-mantle' ? 'api.aws' : 'amazonaws.com';
    const played = findPlayedHost(`${id}.us-east-1.${suffix}`);
    expect(played).toMatchObject({ service: { id }, region: 'us-east-1', partition: 'aws' });
  });

  it.each([
    { host: 'Bedrock-Runtime.us-gov-west-1.amazonaws.com:443', id: 'bedrock-runtime', partition: 'aws-us-gov' },
    { host: 'bedrock-fips.us-east-1.api.aws', id: 'bedrock', partition: 'aws' },
    { host: 'bedrock.eusc-de-east-1.amazonaws.eu', id: 'bedrock', partition: 'aws-eusc' },
    { host: 'gw-1.gateway.bedrock-agentcore.us-east-1.amazonaws.com', id: 'agentcore-gateway', partition: 'aws' },
  ])('plays the host $host', ({ host, id, partition }) => {
    expect(findPlayedHost(host)).toMatchObject({ service: { id }, partition });
  });

  it.each([
    '',
    'localhost:4000',
    'bedrock.us-east-1',
    'sts.us-east-1.amazonaws.com',
    'bedrock.us-east-1.amazonaws.com.cn',
    'bedrock-runtime.moon-1.amazonaws.com',
    'bedrock-runtime.us-east-1.example.com',
  ])('does not play the host "%s"', (host) => {
    expect(findPlayedHost(host)).toBeUndefined();
  });
});

describe('respondToRequest', () => {
  const played = findPlayedHost('bedrock-runtime.us-east-1.amazonaws.com') as PlayedHost;
  const body = Buffer.from('{"messages":[{"role":"user","content":[{"text":"hi"}]}]}');

  it.each([
    { name: 'answers by path', target: '/model/amazon.nova-lite-v1:0/converse', status: 200 },
    { name: 'decodes labels', target: '/model/amazon.nova-lite-v1%3a0/converse', status: 200 },
    { name: 'ignores a query', target: '/model/amazon.nova-lite-v1:0/converse?a=1', status: 200 },
    { name: 'takes a label that is no UTF-8 as it is', target: '/model/%ff/converse', status: 400 },
    { name: 'fails on demand behind a geography', target: '/model/us.offline.throttle-v1:0/converse', status: 429 },
    { name: 'fails on demand by id', target: '/model/offline.throttle-v1:0/converse', status: 429 },
    { name: 'knows no fault of this name', target: '/model/offline.constructor-v1:0/converse', status: 200 },
    { name: 'tells case apart', target: '/Model/amazon.nova-lite-v1:0/converse', status: 404 },
  ])('dispatches a request: it $name', ({ target, status }) => {
    const request = { method: 'POST', target: parseTarget(target), headers: [], body };
    expect(respondToRequest(request, played, { nowMs: 0, state: createOfflineState(), script: undefined }).status).toBe(
      status,
    );
  });
});
