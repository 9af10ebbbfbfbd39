import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseModelName, priceNamesOfProfile, withoutGeography } from '../../src/domain/model-name.ts';

const SONNET = 'anthropic.claude-sonnet-4-5-20250929-v1:0';
const ACCOUNT = '123456789012';

describe('names that tell the model', () => {
  it.each([
    { raw: SONNET, forms: [SONNET], priceName: SONNET },
    ...['us', 'eu', 'apac', 'global', 'jp', 'au', 'ca', 'us-gov', 'mx'].map((geography) => ({
      raw: `${geography}.${SONNET}`,
      forms: [`${geography}.${SONNET}`, SONNET],
      priceName: `${geography}.${SONNET}`,
    })),
    {
      raw: `arn:aws:bedrock:us-east-1::foundation-model/${SONNET}`,
      forms: [`arn:aws:bedrock:us-east-1::foundation-model/${SONNET}`, SONNET],
      priceName: SONNET,
    },
    {
      raw: `arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/${SONNET}`,
      forms: [`arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/${SONNET}`, SONNET],
      priceName: SONNET,
    },
    {
      raw: `arn:aws:bedrock:eu-west-1:${ACCOUNT}:inference-profile/eu.${SONNET}`,
      forms: [`arn:aws:bedrock:eu-west-1:${ACCOUNT}:inference-profile/eu.${SONNET}`, `eu.${SONNET}`, SONNET],
      priceName: `eu.${SONNET}`,
    },
    { raw: 'openai.gpt-5.4', forms: ['openai.gpt-5.4'], priceName: 'openai.gpt-5.4' },
    { raw: 'us.openai.gpt-5.4', forms: ['us.openai.gpt-5.4', 'openai.gpt-5.4'], priceName: 'us.openai.gpt-5.4' },
    { raw: 'amazon.nova-lite-v1:0:24k', forms: ['amazon.nova-lite-v1:0:24k'], priceName: 'amazon.nova-lite-v1:0:24k' },
    { raw: 'ai21.jamba-1-5-mini-v1:0', forms: ['ai21.jamba-1-5-mini-v1:0'], priceName: 'ai21.jamba-1-5-mini-v1:0' },
  ])('reads the model name $raw', ({ raw, forms, priceName }) => {
    expect(parseModelName(raw)).toEqual({ raw, forms, priceName, lookup: undefined });
  });
});

describe('application inference profiles', () => {
  it.each([
    { raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:application-inference-profile/a1b2c3d4e5f6` },
    { raw: `arn:aws-cn:bedrock:cn-north-1:${ACCOUNT}:application-inference-profile/a1b2c3d4e5f6` },
    { raw: 'a1b2c3d4e5f6' },
  ])('needs a look-up for the profile $raw', ({ raw }) => {
    expect(parseModelName(raw)).toEqual({ raw, forms: [raw], priceName: undefined, lookup: raw });
  });
});

/** Each ends in, or looks like, a model that might be allowed; none of them may pass for it. */
describe('names that do not tell the model', () => {
  it.each([
    { name: 'a custom model', raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:custom-model/${SONNET}/abcdef123456` },
    {
      name: 'a custom model deployment',
      raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:custom-model-deployment/${SONNET}`,
    },
    { name: 'a provisioned model', raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:provisioned-model/${SONNET}` },
    { name: 'an imported model', raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:imported-model/${SONNET}` },
    { name: 'a prompt router', raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:default-prompt-router/${SONNET}` },
    { name: 'a prompt', raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:prompt/PROMPT1234:1` },
    { name: 'a marketplace endpoint', raw: `arn:aws:sagemaker:us-east-1:${ACCOUNT}:endpoint/${SONNET}` },
    {
      name: 'an application profile named like a model',
      raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:application-inference-profile/${SONNET}`,
    },
    {
      name: 'a foundation model of another service',
      raw: `arn:aws:bedrock-evil:us-east-1::foundation-model/${SONNET}`,
    },
    { name: 'another partition', raw: `arn:evil:bedrock:us-east-1::foundation-model/${SONNET}` },
    { name: 'a type that begins alike', raw: `arn:aws:bedrock:us-east-1::foundation-model-x/${SONNET}` },
    { name: 'an id that goes on', raw: `arn:aws:bedrock:us-east-1::foundation-model/${SONNET}/x` },
    {
      name: 'an ARN in an ARN',
      raw: `arn:aws:bedrock:us-east-1:${ACCOUNT}:custom-model/arn:aws:bedrock:us-east-1::foundation-model/${SONNET}`,
    },
    { name: 'text before an ARN', raw: `x arn:aws:bedrock:us-east-1::foundation-model/${SONNET}` },
    { name: 'an ARN in capitals', raw: `ARN:aws:bedrock:us-east-1::foundation-model/${SONNET}` },
    { name: 'capitals', raw: SONNET.toUpperCase() },
    { name: 'a space at the end', raw: `${SONNET} ` },
    { name: 'a space at the start', raw: ` us.${SONNET}` },
    { name: 'a line break at the end', raw: `${SONNET}\n` },
    { name: 'a second name behind a null', raw: `${SONNET}\0anthropic.other` },
    { name: 'an escape that is left', raw: 'arn:aws:bedrock:us-east-1::foundation-model%2Fanthropic.claude-v2' },
    { name: 'LiteLLM’s prefix', raw: `bedrock/${SONNET}` },
    { name: 'nothing', raw: '' },
    { name: 'no more than 2048 characters', raw: `a.${'a'.repeat(2048)}` },
    { name: 'a part that is too long', raw: `anthropic.${'a'.repeat(64)}` },
    { name: 'a dot at the end', raw: 'anthropic.' },
  ])('reads no model out of $name', ({ raw }) => {
    expect(parseModelName(raw)).toEqual({ raw, forms: [raw], priceName: undefined, lookup: undefined });
  });

  it.each([
    { id: 'us.us.anthropic.claude-v2', bare: 'us.us.anthropic.claude-v2' },
    { id: 'us.global.anthropic.claude-v2', bare: 'us.global.anthropic.claude-v2' },
    { id: 'latam.anthropic.claude-v2', bare: 'latam.anthropic.claude-v2' },
    { id: 'us.anthropic', bare: 'us.anthropic' },
    { id: 'zz.model-2.5', bare: 'zz.model-2.5' },
  ])('strips at most one geography from $id, and only before a provider', ({ id, bare }) => {
    expect(withoutGeography(id)).toBe(bare);
  });

  it('puts the raw name first, no form twice, and never throws, whatever the name', () => {
    const piece = fc.constantFrom(
      'arn:aws:bedrock',
      ':',
      '::',
      '/',
      '.',
      'us',
      'anthropic',
      'foundation-model',
      'x',
      ' ',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((pieces) => pieces.join('')),
        ),
        (raw) => {
          const { forms } = parseModelName(raw);
          expect(forms[0]).toBe(raw);
          expect(new Set(forms).size).toBe(forms.length);
          for (const form of forms) expect(raw.endsWith(form)).toBe(true);
        },
      ),
    );
  });
});

describe('the price of an application inference profile', () => {
  const inRegion = (region: string, partition = 'aws'): string =>
    `arn:${partition}:bedrock:${region}::foundation-model/${SONNET}`;

  it.each([
    { name: 'one region', arns: [inRegion('us-east-1')], names: [inRegion('us-east-1')] },
    { name: 'one region, twice', arns: [inRegion('us-east-1'), inRegion('us-east-1')], names: [inRegion('us-east-1')] },
    { name: 'all the world', arns: [inRegion('')], names: [`global.${SONNET}`] },
    {
      name: 'all the world, with the region that it is called in',
      arns: [inRegion('us-east-1'), inRegion('')],
      names: [`global.${SONNET}`],
    },
    { name: 'the United States', arns: [inRegion('us-east-1'), inRegion('us-west-2')], names: [`us.${SONNET}`] },
    { name: 'Europe', arns: [inRegion('eu-west-1'), inRegion('eu-north-1')], names: [`eu.${SONNET}`] },
    { name: 'Asia', arns: [inRegion('ap-northeast-1'), inRegion('ap-south-1')], names: [`apac.${SONNET}`] },
    {
      name: 'GovCloud',
      arns: [inRegion('us-gov-west-1', 'aws-us-gov'), inRegion('us-gov-east-1', 'aws-us-gov')],
      names: [`us-gov.${SONNET}`],
    },
    {
      name: 'two models',
      arns: [inRegion('us-east-1'), 'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0'],
      names: [inRegion('us-east-1'), 'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0'],
    },
    { name: 'nothing', arns: [], names: [] },
    {
      name: 'what is no model',
      arns: [`arn:aws:bedrock::${ACCOUNT}:custom-model/x`, 'x', ''],
      names: [`arn:aws:bedrock::${ACCOUNT}:custom-model/x`, 'x', ''],
    },
  ])('is that of $name', ({ arns, names }) => {
    expect(priceNamesOfProfile(arns)).toEqual(names);
  });
});
