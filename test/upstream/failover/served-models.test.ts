import { describe, expect, it } from 'vitest';
import { findNameThere, isBoundToAccount } from '../../../src/upstream/failover/served-models.ts';

const ALL = { served: undefined, mapped: new Map<string, string>() };
const NOVA = 'amazon.nova-lite-v1:0';

describe('the name of a model at an upstream', () => {
  it.each([
    ['us-east-1', NOVA, NOVA],
    ['eu-west-1', NOVA, NOVA],
    ['us-west-2', `us.${NOVA}`, `us.${NOVA}`],
    ['eu-west-1', `us.${NOVA}`, undefined],
    ['ap-northeast-1', `apac.${NOVA}`, `apac.${NOVA}`],
    ['ap-northeast-1', `jp.${NOVA}`, `jp.${NOVA}`],
    ['ap-southeast-2', `jp.${NOVA}`, undefined],
    ['us-gov-west-1', `us.${NOVA}`, undefined],
    ['us-gov-west-1', `us-gov.${NOVA}`, `us-gov.${NOVA}`],
    ['eu-west-1', `global.${NOVA}`, `global.${NOVA}`],
    ['us-gov-west-1', `global.${NOVA}`, undefined],
  ])('in %s of %s is %s', (region, modelId, name) => {
    expect(findNameThere(ALL, modelId, { region, own: 'sa-east-1' })).toBe(name);
  });

  it('of a geography that is not known is the same where the request would go by itself, and nowhere else', () => {
    expect(findNameThere(ALL, `zz.${NOVA}`, { region: 'us-east-1', own: 'us-east-1' })).toBe(`zz.${NOVA}`);
    expect(findNameThere(ALL, `zz.${NOVA}`, { region: 'us-west-2', own: 'us-east-1' })).toBeUndefined();
  });

  it('is the one that is written down, whatever else is listed', () => {
    const models = { served: ['*claude*'], mapped: new Map([[`us.${NOVA}`, `eu.${NOVA}`]]) };
    const regions = { region: 'eu-west-1', own: 'us-east-1' };
    expect(findNameThere(models, `us.${NOVA}`, regions)).toBe(`eu.${NOVA}`);
    expect(findNameThere(models, `eu.${NOVA}`, regions)).toBeUndefined();
    expect(findNameThere(models, 'anthropic.claude-v2', regions)).toBe('anthropic.claude-v2');
  });
});

it.each([
  ['arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc', true],
  ['arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc', true],
  ['arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0', false],
  ['a1b2c3d4e5f6', true],
  [NOVA, false],
])('%s belongs to one account: %s', (modelId, isBound) => {
  expect(isBoundToAccount(modelId)).toBe(isBound);
});
