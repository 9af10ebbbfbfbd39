import { describe, expect, it } from 'vitest';
import { findOfflineModel } from '../../../src/upstream/offline/models.ts';

const ARN = 'arn:aws:bedrock:us-east-1';

describe('findModel', () => {
  it.each([
    {
      identifier: 'anthropic.claude-3-haiku-20240307-v1:0',
      id: 'anthropic.claude-3-haiku-20240307-v1:0',
      shape: 'anthropic',
    },
    { identifier: 'us.anthropic.claude-opus-4-6-v1', id: 'anthropic.claude-opus-4-6-v1', shape: 'anthropic' },
    { identifier: 'us-gov.anthropic.claude-x-v1:0', id: 'anthropic.claude-x-v1:0', shape: 'anthropic' },
    { identifier: 'amazon.nova-pro-v1:0:300k', id: 'amazon.nova-pro-v1:0:300k', shape: 'nova' },
    { identifier: 'amazon.nova-sonic-v1:0', id: 'amazon.nova-sonic-v1:0', shape: 'other' },
    { identifier: 'amazon.titan-embed-text-v1', id: 'amazon.titan-embed-text-v1', shape: 'titan-embedding' },
    { identifier: 'us.meta.llama3-2-1b-instruct-v1:0', id: 'meta.llama3-2-1b-instruct-v1:0', shape: 'other' },
    { identifier: `${ARN}::foundation-model/amazon.nova-lite-v1:0`, id: 'amazon.nova-lite-v1:0', shape: 'nova' },
    {
      identifier: `${ARN}:123456789012:inference-profile/eu.amazon.nova-lite-v1:0`,
      id: 'amazon.nova-lite-v1:0',
      shape: 'nova',
    },
    { identifier: `${ARN}:123456789012:application-inference-profile/abc`, id: 'abc', shape: 'anthropic' },
    { identifier: `${ARN}:123456789012:provisioned-model/abcdefghijkl`, id: 'abcdefghijkl', shape: 'anthropic' },
  ])('knows the model $identifier', ({ identifier, id, shape }) => {
    expect(findOfflineModel(identifier, 'us-east-1')).toEqual({ id, shape });
  });

  it.each([
    'claude',
    '',
    'nobody.model-v1:0',
    'Anthropic.claude-v2',
    'anthropic.claude/v2',
    'us.us.anthropic.claude-v2',
    `${ARN}::foundation-model/nobody.model`,
    `${ARN}:123456789012:knowledge-base/abc`,
    'arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0',
    'arn:aws:s3:us-east-1::foundation-model/amazon.nova-lite-v1:0',
  ])('knows no model "%s"', (identifier) => {
    expect(findOfflineModel(identifier, 'us-east-1')).toBeUndefined();
  });
});
