import { describe, expect, it } from 'vitest';
import { checkModels, limitsModels } from '../../src/admission/models.ts';
import { failureOf } from '../helpers/failure.ts';

const HAIKU = 'anthropic.claude-haiku-4-5-20251001-v1:0';
const OPUS = 'anthropic.claude-opus-4-6-v1';
const ACCOUNT = 'arn:aws:bedrock:us-east-1:123456789012';
const foundationModel = (id: string): string => `arn:aws:bedrock:us-east-1::foundation-model/${id}`;
const PROFILE = `${ACCOUNT}:application-inference-profile/abcdefghijk1`;

const named = (names: readonly string[]) => ({ names, ambiguity: undefined, region: 'eu-west-1' });

async function verdict(
  models: readonly string[],
  names: readonly string[],
  { ambiguity, behind }: { ambiguity?: string; behind?: readonly string[] | undefined } = {},
): Promise<string> {
  try {
    await checkModels({ models }, { names, ambiguity, region: 'us-east-1' }, async () => behind);
    return 'allowed';
  } catch {
    return 'refused';
  }
}

describe('a list of models', () => {
  it.each([
    { name: 'a plain id', model: HAIKU },
    { name: 'a profile of the United States', model: `us.${HAIKU}` },
    { name: 'a profile of Europe', model: `eu.${HAIKU}` },
    { name: 'a profile of Asia', model: `apac.${HAIKU}` },
    { name: 'a global profile', model: `global.${HAIKU}` },
    { name: 'a profile of the government', model: `us-gov.${HAIKU}` },
    { name: 'the ARN of a foundation model', model: foundationModel(HAIKU) },
    { name: 'the ARN of a system profile', model: `${ACCOUNT}:inference-profile/us.${HAIKU}` },
  ])('matches a model named as $name', async ({ model }) => {
    expect(await verdict(['anthropic.claude-haiku-*'], [model])).toBe('allowed');
    expect(await verdict([HAIKU], [model])).toBe('allowed');
    expect(await verdict([model], [model])).toBe('allowed');
    expect(await verdict(['bedrock/anthropic.claude-haiku-*'], [model])).toBe('allowed');
    expect(await verdict(['anthropic.claude-opus-*', 'meta.*'], [model])).toBe('refused');
  });

  it.each([
    { name: 'a geography that is named allows no other', patterns: [`us.${HAIKU}`], model: `eu.${HAIKU}` },
    { name: 'nor the model without one', patterns: [`us.${HAIKU}`], model: HAIKU },
    { name: 'nor an ARN without one', patterns: ['us.anthropic.*'], model: foundationModel(HAIKU) },
    { name: 'a longer name', patterns: [HAIKU], model: `${HAIKU}0` },
    { name: 'a shorter one', patterns: [HAIKU], model: HAIKU.slice(0, -1) },
    { name: 'another case', patterns: [HAIKU], model: HAIKU.toUpperCase() },
    { name: 'no name', patterns: ['anthropic.*'], model: '' },
    { name: 'a name escaped twice', patterns: ['anthropic.*'], model: '%61nthropic.claude-opus' },
    { name: 'a name with a line end', patterns: [HAIKU], model: `${HAIKU}\n` },
    { name: 'a dot that is none', patterns: [HAIKU], model: HAIKU.replace('.', 'x') },
    { name: 'two geographies', patterns: [HAIKU], model: `us.us.${HAIKU}` },
    {
      name: "somebody's own model of that name",
      patterns: [HAIKU],
      model: `${ACCOUNT}:custom-model/${HAIKU}/abcdefghijk1`,
    },
    { name: 'an imported one', patterns: ['anthropic.*'], model: `${ACCOUNT}:imported-model/anthropic.claude` },
    { name: 'a provisioned one', patterns: ['anthropic.*'], model: `${ACCOUNT}:provisioned-model/abcdefghijk1` },
    { name: 'a prompt', patterns: ['anthropic.*'], model: `${ACCOUNT}:prompt/ABCDEFGHIJ:1` },
    {
      name: 'a prompt router',
      patterns: ['anthropic.*'],
      model: `${ACCOUNT}:default-prompt-router/anthropic.claude:1`,
    },
    {
      name: 'a SageMaker endpoint',
      patterns: ['anthropic.*'],
      model: 'arn:aws:sagemaker:us-east-1:123456789012:endpoint/anthropic.x',
    },
    {
      name: 'an ARN of another service',
      patterns: [HAIKU],
      model: foundationModel(HAIKU).replace(':bedrock:', ':bedrock-agent:'),
    },
    { name: 'an ARN with more behind it', patterns: [HAIKU], model: `${foundationModel(OPUS)}/${HAIKU}` },
    {
      name: 'an ARN with another in front',
      patterns: [HAIKU],
      model: `${foundationModel(OPUS)}:${foundationModel(HAIKU)}`,
    },
    {
      name: 'an application profile that bears the name',
      patterns: [HAIKU],
      model: `${ACCOUNT}:application-inference-profile/${HAIKU}`,
    },
  ])('does not match a model: $name', async ({ patterns, model }) => {
    expect(await verdict(patterns, [model])).toBe('refused');
  });

  it.each([
    '?opus',
    ';opus',
    '%3Fopus',
    ' opus',
    '/opus',
    '%2Fopus',
    '#',
    '\\',
    ',x',
    '\u017f',
    '*',
    'x.',
    'x:',
    '..',
    '"',
  ])('does not take what stands behind a star for the rest of a name: %j', async (junk) => {
    const model = `anthropic.claude-haiku-${junk}`;
    expect(await verdict(['anthropic.claude-haiku-*'], [model])).toBe('refused');
    expect(await verdict(['anthropic.claude-haiku-*', '*haiku*'], [model])).toBe('refused');
    expect(await verdict([model], [model])).toBe(junk === '*' ? 'refused' : 'allowed');
    const arn = foundationModel(model);
    expect(await verdict([foundationModel('anthropic.claude-haiku-*'), '*haiku*'], [arn])).toBe('refused');
  });

  it.each([
    'ABCDEFGHIJ',
    'gpt-4o_mini',
    `${ACCOUNT}:custom-model/anthropic.haiku/abcdefghijk1`,
    `${ACCOUNT}:imported-model/abcdefghijk1`,
    `${ACCOUNT}:prompt/ABCDEFGHIJ:1`,
    `${ACCOUNT}:agent-alias/ABCDEFGHIJ/KLMNOPQRST`,
    'arn:aws:sagemaker:us-east-1:123456789012:endpoint/my-endpoint',
    'arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:provisioned-model/abcdefghijk1',
  ])('holds a pattern against the id or the ARN %s', async (model) => {
    expect(await verdict([`${model.slice(0, -3)}*`], [model])).toBe('allowed');
  });

  it('takes no long time over a long name', async () => {
    const startedAt = performance.now();
    for (const model of [
      `${ACCOUNT}:x/${'a:'.repeat(1_000)}!`,
      `${ACCOUNT}:x${'/a'.repeat(1_000)}!`,
      'a.'.repeat(1_000),
    ]) {
      expect(await verdict(['a*'], [model])).toBe('refused');
    }
    expect(performance.now() - startedAt).toBeLessThan(50);
  });

  it('wants every model that is named on the list', async () => {
    expect(await verdict(['anthropic.claude-haiku-*'], [HAIKU, `us.${HAIKU}`])).toBe('allowed');
    expect(await verdict(['anthropic.claude-haiku-*'], [HAIKU, OPUS])).toBe('refused');
    expect(await verdict(['anthropic.claude-haiku-*'], [OPUS, HAIKU])).toBe('refused');
  });

  it('says what model was asked for and which are allowed', async () => {
    const check = async (): Promise<void> =>
      checkModels(
        { models: ['a.*', 'b.*'] },
        { names: [OPUS], ambiguity: undefined, region: 'r' },
        async () => undefined,
      );
    expect(await failureOf(check)).toMatchObject({
      code: 'ERR_MODEL_NOT_ALLOWED',
      status: 403,
      awsType: 'AccessDeniedException',
      message: `This key may not use the model ${OPUS}.`,
      hint: 'It may use: a.*, b.*.',
    });
  });

  it.each([
    [[], 'allowed'],
    [['*'], 'allowed'],
    [['x', '**'], 'allowed'],
    [['bedrock/*'], 'allowed'],
    [['anthropic.*'], 'refused'],
    [['*.*'], 'refused'],
  ])('decides by the list %j on a model that cannot be told: %s', async (models, expected) => {
    expect(await verdict(models, [HAIKU], { ambiguity: 'Nobody knows' })).toBe(expected);
    expect(limitsModels({ models })).toBe(expected === 'refused');
  });
});

describe('an application inference profile', () => {
  it.each([
    ['its ARN', [PROFILE], undefined, 'allowed'],
    ['a pattern of its ARN', ['*:application-inference-profile/*'], undefined, 'allowed'],
    ['its model, once looked up', ['anthropic.claude-haiku-*'], [foundationModel(HAIKU)], 'allowed'],
    [
      'all of its models',
      ['*haiku*'],
      [foundationModel(HAIKU), foundationModel(HAIKU).replace('east-1', 'west-2')],
      'allowed',
    ],
    ['not one of several', ['*haiku*'], [foundationModel(HAIKU), foundationModel(OPUS)], 'refused'],
    ['not another model', ['*haiku*'], [foundationModel(OPUS)], 'refused'],
    ['not what cannot be looked up', ['anthropic.*'], undefined, 'refused'],
    ['not what stands for nothing', ['anthropic.*'], [], 'refused'],
    ['not a profile behind a profile', ['anthropic.*'], [PROFILE], 'refused'],
  ] as const)('allows an application inference profile by %s', async (_, patterns, behind, expected) => {
    expect(await verdict(patterns, [PROFILE], { behind })).toBe(expected);
  });

  it('looks an application inference profile up by its bare id too, in the region of the request, and only if it must', async () => {
    const asked: string[] = [];
    const find = async (identifier: string, region: string): Promise<readonly string[]> => {
      asked.push(`${identifier} ${region}`);
      return [foundationModel(HAIKU)];
    };
    await checkModels({ models: ['*haiku*'] }, named(['abcdefghijk1', HAIKU]), find);
    expect(asked).toEqual(['abcdefghijk1 eu-west-1']);
    await checkModels({ models: ['*haiku*', PROFILE] }, named([PROFILE]), find);
    await checkModels({ models: [] }, named([PROFILE]), find);
    expect(asked).toHaveLength(1);
  });
});
