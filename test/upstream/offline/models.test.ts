import { describe, expect, it } from 'vitest';
import { findNamedModel, findOfflineModel, LISTED_MODELS } from '../../../src/upstream/offline/models.ts';
import { findShape } from '../../../src/upstream/offline/shapes.ts';

const ARN = 'arn:aws:bedrock:us-east-1';

describe('findOfflineModel', () => {
  it.each([
    {
      identifier: 'anthropic.claude-3-haiku-20240307-v1:0',
      id: 'anthropic.claude-3-haiku-20240307-v1:0',
      shape: 'anthropic',
    },
    { identifier: 'us.anthropic.claude-opus-4-6-v1', id: 'anthropic.claude-opus-4-6-v1', shape: 'anthropic' },
    { identifier: 'global.anthropic.claude-opus-5', id: 'anthropic.claude-opus-5', shape: 'anthropic' },
    { identifier: 'amazon.nova-pro-v1:0:300k', id: 'amazon.nova-pro-v1:0:300k', shape: 'nova' },
    { identifier: 'amazon.nova-sonic-v1:0', id: 'amazon.nova-sonic-v1:0', shape: 'none' },
    { identifier: 'amazon.titan-embed-text-v1', id: 'amazon.titan-embed-text-v1', shape: 'titan-embedding' },
    { identifier: 'us.meta.llama3-2-1b-instruct-v1:0', id: 'meta.llama3-2-1b-instruct-v1:0', shape: 'llama' },
    { identifier: `${ARN}::foundation-model/amazon.nova-lite-v1:0`, id: 'amazon.nova-lite-v1:0', shape: 'nova' },
    {
      identifier: `${ARN}:123456789012:inference-profile/us.amazon.nova-lite-v1:0`,
      id: 'amazon.nova-lite-v1:0',
      shape: 'nova',
    },
    { identifier: `${ARN}:123456789012:application-inference-profile/abc`, id: 'abc', shape: 'unknown' },
    { identifier: `${ARN}:123456789012:provisioned-model/abcdefghijkl`, id: 'abcdefghijkl', shape: 'unknown' },
  ])('knows the model $identifier', ({ identifier, id, shape }) => {
    expect(findOfflineModel(identifier, 'us-east-1')).toMatchObject({ id, shape });
  });

  it.each([
    'claude',
    '',
    'nobody.model-v1:0',
    'Anthropic.claude-v2',
    'anthropic.claude/v2',
    'anthropic.claude-sonnet-9-v1:0',
    'amazon.nova-lyte-v1:0',
    'eu.amazon.nova-lite-v1:0',
    'us.amazon.titan-embed-text-v2:0',
    'us.us.anthropic.claude-v2',
    `${ARN}::foundation-model/nobody.model`,
    `${ARN}:123456789012:knowledge-base/abc`,
    'arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0',
    'arn:aws:s3:us-east-1::foundation-model/amazon.nova-lite-v1:0',
  ])('knows no model "%s"', (identifier) => {
    expect(findOfflineModel(identifier, 'us-east-1')).toBeUndefined();
  });
});

describe('a model that is called through inference profiles only', () => {
  it.each([
    { identifier: 'anthropic.claude-sonnet-4-5-20250929-v1:0', needsProfile: true },
    { identifier: `${ARN}::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0`, needsProfile: true },
    { identifier: 'amazon.nova-lite-v1:0:300k', needsProfile: true },
    { identifier: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0', needsProfile: false },
    { identifier: 'amazon.nova-lite-v1:0', needsProfile: false },
    { identifier: 'offline.throttle-v1:0', needsProfile: false },
    { identifier: `${ARN}:123456789012:application-inference-profile/abc`, needsProfile: false },
  ])('is told from one on demand: $identifier', ({ identifier, needsProfile }) => {
    expect(findOfflineModel(identifier, 'us-east-1')).toMatchObject({ needsProfile });
  });
});

describe('findNamedModel', () => {
  it.each([
    ['openai.gpt-oss-20b', 'openai.gpt-oss-20b-1:0'],
    ['anthropic.claude-haiku-4-5', 'anthropic.claude-haiku-4-5-20251001-v1:0'],
    ['us.anthropic.claude-haiku-4-5', 'anthropic.claude-haiku-4-5-20251001-v1:0'],
    ['anthropic.claude-opus-5', 'anthropic.claude-opus-5'],
  ])('knows the short name %s', (name, id) => {
    expect(findNamedModel(name, 'us-east-1')).toMatchObject({ id });
  });

  it.each(['gpt-oss-20b', 'eu.anthropic.claude-haiku-4-5', 'openai.gpt-oss'])('knows no short name %s', (name) => {
    expect(findNamedModel(name, 'us-east-1')).toBeUndefined();
  });
});

it('has each model once, under a shape', () => {
  expect(new Set(LISTED_MODELS.map(({ id }) => id)).size).toBe(LISTED_MODELS.length);
  for (const { id } of LISTED_MODELS) expect(findShape(id), id).not.toBe('unknown');
});
