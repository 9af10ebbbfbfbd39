import { describe, expect, it } from 'vitest';
import { decodeSegment, findArnInPath, parseArn } from '../../src/protocol/arn.ts';

describe('decodeSegment', () => {
  it.each([
    ['anthropic.claude-v1%3A0', 'anthropic.claude-v1:0'],
    ['arn%3aaws%3Abedrock%2Fx', 'arn:aws:bedrock/x'],
    ['a%253A', 'a%3A'],
    ['%E2%82%AC', '%E2%82%AC'],
    ['a%0ab%7Fc%00', 'a%0ab%7Fc%00'],
    ['%zz%', '%zz%'],
    ['plain', 'plain'],
  ])('decodes the path segment %s to %s', (segment, text) => {
    expect(decodeSegment(segment)).toBe(text);
  });
});

describe('parseArn', () => {
  it.each([
    ['arn:aws:bedrock:us-east-1:123456789012:session/abc', 'bedrock', 'us-east-1', 'session'],
    ['arn:aws-cn:bedrock-agentcore:cn-north-1:1:runtime/a/b', 'bedrock-agentcore', 'cn-north-1', 'runtime'],
    ['arn:aws:bedrock:us-east-1::foundation-model/anthropic.x-v1:0', 'bedrock', 'us-east-1', 'foundation-model'],
    ['arn:aws:s3:::bucket', 's3', '', 'bucket'],
  ])('parses the ARN %s', (text, service, region, resourceType) => {
    expect(parseArn(text)).toMatchObject({ service, region, resourceType });
  });

  it.each([
    '',
    'arn',
    'arn:',
    'arn:aws',
    'arn:aws:bedrock:us-east-1:1',
    'arn::bedrock:r:a:x',
    'ARN:aws:b:r:a:x',
    'xarn:a:b:c:d:e',
  ])('takes %j for no ARN', (text) => {
    expect(parseArn(text)).toBeUndefined();
  });
});

describe('findArnInPath', () => {
  it.each([
    ['/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/invoke', 'eu-west-1'],
    ['/tags/arn:aws:bedrock:eu-west-1:1:agent%2Fx', 'eu-west-1'],
    ['/a/b/arn%3aaws%3abedrock%3aeu-west-1%3a1%3ax', 'eu-west-1'],
    ['/model/x/invoke', undefined],
    ['/model/warn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ax/invoke', undefined],
  ])('finds the ARN in the path %s', (path, region) => {
    expect(findArnInPath(path)?.region).toBe(region);
  });
});
