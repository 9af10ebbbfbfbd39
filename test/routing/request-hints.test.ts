import { describe, expect, it } from 'vitest';
import { findClientService, readRequestHints } from '../../src/routing/request-hints.ts';

describe('findClientService', () => {
  it.each([
    [
      'aws-sdk-js/3.1164.0 ua/2.1 os/linux#6 lang/js md/nodejs#24 api/bedrock-agent-runtime#3.1164.0 m/E,N',
      'bedrock-agent-runtime',
    ],
    ['aws-sdk-java/2.30.0 md/io#sync api/Bedrock_Runtime#2.30.0 ua/2.1', 'bedrock-runtime'],
    ['aws-sdk-go-v2/1.30 ua/2.1 api/bedrockruntime#1.20', 'bedrock-runtime'],
    ['aws-sdk-rust/1.3 api/bedrockagentcorecontrol/1.0', 'bedrock-agentcore-control'],
    ['api/Bedrock_AgentCore#1', 'bedrock-agentcore'],
    ['x api/s3#1 api/bedrock#3', 'bedrock'],
    ['AnthropicBedrockMantle/JS 1.0', 'bedrock-mantle'],
    ['AnthropicBedrock/JS 1.0', undefined],
    ['Boto3/1.43 md/Botocore#1.43 ua/2.1 lang/python', undefined],
    ['x-api/bedrock', undefined],
    ['api/agentcore-gateway#1', undefined],
    ['api/__proto__ api/constructor', undefined],
    ['', undefined],
  ])('finds the service of the client in its user agent: %s', (userAgent, service) => {
    expect(findClientService(userAgent)).toBe(service);
  });
});

describe('readRequestHints', () => {
  it('gathers the hints of all headers, in any case', () => {
    expect(
      readRequestHints(
        [
          ['X-AMZ-TARGET', ' A.B '],
          ['x-amz-target', 'C.D'],
          ['X-Bedrock-Proxy-Region', ' eu-west-1 '],
          ['Upgrade', 'WebSocket'],
          ['User-Agent', 'api/bedrock#1'],
        ],
        { region: 'us-east-1', service: 'bedrock' },
      ),
    ).toEqual({
      targets: ['A.B', 'C.D'],
      regionHeader: 'eu-west-1',
      clientOf: 'bedrock',
      scope: { region: 'us-east-1', service: 'bedrock' },
      asksForWebSocket: true,
    });
  });

  it('gives no hints if the headers hold none', () => {
    expect(readRequestHints([], undefined)).toEqual({
      targets: [],
      regionHeader: undefined,
      clientOf: undefined,
      scope: undefined,
      asksForWebSocket: false,
    });
  });

  it('does not take h2c for a WebSocket', () => {
    expect(readRequestHints([['Upgrade', 'h2c']], undefined).asksForWebSocket).toBe(false);
  });
});
