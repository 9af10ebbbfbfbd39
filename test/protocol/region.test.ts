import { describe, expect, it } from 'vitest';
import { chooseRegion, findPartition } from '../../src/protocol/region.ts';

const NONE = { header: undefined, scope: undefined, arn: undefined, default: undefined };

describe('chooseRegion', () => {
  it.each([
    [
      'the header',
      { header: 'eu-west-1', scope: 'us-west-2', arn: 'ap-south-1', default: 'us-east-1' },
      'eu-west-1',
      'header',
    ],
    ['the scope', { ...NONE, scope: 'us-west-2', arn: 'ap-south-1', default: 'us-east-1' }, 'us-west-2', 'scope'],
    ['the ARN', { ...NONE, arn: 'ap-south-1', default: 'us-east-1' }, 'ap-south-1', 'arn'],
    ['the default', { ...NONE, default: 'us-east-1' }, 'us-east-1', 'default'],
    [
      'the next where one is empty',
      { header: '', scope: undefined, arn: '', default: 'us-east-1' },
      'us-east-1',
      'default',
    ],
  ])('chooses the region of %s', (_, candidates, region, source) => {
    expect(chooseRegion(candidates)).toMatchObject({ region, source });
  });

  it.each([
    ['header', 'header x-bedrock-proxy-region'],
    ['scope', 'credential scope'],
    ['arn', 'ARN in the path'],
    ['default', 'configured default'],
  ])('names the %s that holds no region, and tries no other', (source, words) => {
    const candidates = { ...NONE, default: 'us-east-1', [source]: 'evil.test' };
    expect(() => chooseRegion(candidates)).toThrow(
      expect.objectContaining({ code: 'ERR_REGION_INVALID', message: expect.stringContaining(words) }),
    );
  });

  it('says how to give a region if there is none', () => {
    expect(() => chooseRegion(NONE)).toThrow(
      expect.objectContaining({ code: 'ERR_REGION_MISSING', hint: expect.stringMatching(/--region.*AWS_REGION/) }),
    );
  });

  it('cuts a long value short that is no region', () => {
    const error = (() => {
      try {
        return chooseRegion({ ...NONE, header: 'x'.repeat(70_000) });
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(String(error).length).toBeLessThan(200);
  });
});

describe('findPartition', () => {
  it.each([
    ['us-east-1', 'aws'],
    ['mx-central-1', 'aws'],
    ['ap-southeast-7', 'aws'],
    ['us-gov-west-1', 'aws-us-gov'],
    ['cn-north-1', 'aws-cn'],
    ['eusc-de-east-1', 'aws-eusc'],
    ['us-iso-east-1', 'aws-iso'],
    ['us-isob-east-1', 'aws-iso-b'],
    ['eu-isoe-west-1', 'aws-iso-e'],
    ['us-isof-south-1', 'aws-iso-f'],
  ])('knows that the region %s is in the partition %s', (region, id) => {
    expect(findPartition(region)?.id).toBe(id);
  });

  it.each([
    '',
    'us-east',
    'local',
    'aws-global',
    'us-east-1.evil.test',
    'evil.test#us-east-1',
    'us-east-1/../x',
    'us-east-1@evil.test',
    'us-east-1:80',
    'us-east-1\n',
    'us-ea_st-1',
    'US-EAST-1',
    'us-EAST-1',
    `us-${'a'.repeat(64)}-1`,
    'us-east-١',
    '__proto__',
    'eu.',
  ])('takes %j for no region', (region) => {
    expect(findPartition(region)).toBeUndefined();
  });
});
