import { describe, expect, it } from 'vitest';
import type { BillLine } from '../../../src/pricing/bill/bill-line.ts';
import { isBedrock, kindOfCharge } from '../../../src/pricing/bill/bill-line.ts';
import { findBilledRegion } from '../../../src/pricing/bill/region-codes.ts';
import { readSoldUsage } from '../../../src/pricing/bill/sold-usage.ts';

const aLine = (fields: Partial<BillLine>): BillLine => ({
  kind: 'usage',
  startMs: 0,
  endMs: 3_600_000,
  service: 'AmazonBedrock',
  product: 'Amazon Bedrock',
  usageType: '',
  description: '',
  resource: '',
  region: '',
  amount: 0n,
  unit: '1K tokens',
  cost: 0n,
  netCost: undefined,
  ...fields,
});
const EDITION = 'Claude Sonnet 4.5 (Amazon Bedrock Edition)';
const FM = 'arn:aws:bedrock:us-west-2::foundation-model/anthropic.claude-3-5-sonnet-20240620-v1:0';

describe('readSoldUsage', () => {
  it.each([
    {
      name: "AWS's own model",
      line: { usageType: 'USE1-NovaPro-input-tokens' },
      sold: {
        name: 'NovaPro',
        region: 'us-east-1',
        tier: 'standard',
        kind: 'input',
        perAmount: 1_000n,
        isGlobal: false,
      },
    },
    {
      name: 'a tier, global',
      line: { usageType: 'EU-Nova2.0Lite-output-tokens-flex-cross-region-global' },
      sold: { name: 'Nova2.0Lite', region: 'eu-west-1', tier: 'flex', kind: 'output', isGlobal: true },
    },
    {
      name: 'a model of the Marketplace by its product',
      line: { product: EDITION, usageType: 'USW2-MP:USW2_CacheWrite1hInputTokenCount_Global-Units', unit: 'Units' },
      sold: { name: EDITION, region: 'us-west-2', kind: 'cacheWrite', perAmount: 1_000_000n, isGlobal: true },
    },
    {
      name: 'by the service, as Cost Explorer has it',
      line: { service: EDITION, product: '', usageType: 'USE1-MP:USE1_input_tokens_standard-Units', unit: '' },
      sold: { name: EDITION, kind: 'input', perAmount: 1_000_000n },
    },
    {
      name: 'by the thousand, if the description says so',
      line: {
        product: EDITION,
        usageType: 'USE1-MP:USE1_OutputTokenCount-Units',
        unit: 'Units',
        description: 'AWS Marketplace software usage|us-east-1|thousand Output Tokens',
      },
      sold: { perAmount: 1_000n, kind: 'output' },
    },
    {
      name: 'by the ARN of the model',
      line: { resource: FM, product: EDITION, usageType: 'USW2-MP:USW2_InputTokenCount-Units', unit: 'Units' },
      sold: { name: 'anthropic.claude-3-5-sonnet-20240620-v1:0', region: 'us-west-2' },
    },
    {
      name: 'by the ARN of a global profile',
      line: {
        resource: 'arn:aws:bedrock:eu-west-3:111122223333:inference-profile/global.anthropic.claude-sonnet-4-6',
        usageType: 'EUW3-MP:EUW3_InputTokenCount-Units',
        unit: '1M tokens',
      },
      sold: { name: 'anthropic.claude-sonnet-4-6', region: 'eu-west-3', isGlobal: true, perAmount: 1_000_000n },
    },
    {
      name: 'images by the piece',
      line: { usageType: 'USE1-NovaCanvas-T2I-1024-Standard', unit: 'image' },
      sold: { name: 'NovaCanvas', kind: 'piece', perAmount: 1n },
    },
    {
      name: 'a product without a usage type',
      line: { service: EDITION, product: '', usageType: '', unit: '' },
      sold: { name: EDITION, region: '', tier: '', kind: undefined },
    },
    {
      name: 'a unit that nobody knows',
      line: { usageType: 'USE1-NovaPro-input-tokens', unit: 'Fortnights' },
      sold: { kind: 'input', perAmount: undefined },
    },
  ])('reads $name', ({ line, sold }) => expect(readSoldUsage(aLine(line))).toMatchObject(sold));

  it.each([
    { name: 'the hour', line: { usageType: 'USE1-NovaPro-ProvisionedThroughput-NoCommit-ModelUnits', unit: 'Hrs' } },
    { name: 'nothing that is known', line: { usageType: 'USE1-Frobnicate-Widgets' } },
    {
      name: 'a product that is not named',
      line: { service: '', product: '', usageType: 'USE1-MP:USE1_InputTokenCount-Units' },
    },
    { name: 'all of the service', line: { service: 'Amazon Bedrock', usageType: '' } },
  ])('reads nothing of what is sold by $name', ({ line }) => expect(readSoldUsage(aLine(line))).toBeUndefined());
});

describe('isBedrock', () => {
  const line = { service: '', product: '', resource: '', usageType: '' };
  it.each([
    { service: 'AmazonBedrock' },
    { service: 'AmazonBedrockFoundationModels' },
    { service: 'Amazon Bedrock Service' },
    { service: '4a524th30q694o538qndh9ucht', product: EDITION },
    { service: '4a524th30q694o538qndh9ucht', resource: FM },
    { service: '4a524th30q694o538qndh9ucht', usageType: 'USE1-MP:USE1_input_tokens_standard-Units' },
    {},
  ])('takes %j', (fields) => expect(isBedrock({ ...line, ...fields })).toBe(true));

  it.each([
    { service: 'AmazonEC2', product: 'Amazon Elastic Compute Cloud', usageType: 'BoxUsage:m7i.large' },
    { service: 'x', product: 'Some Vendor LLM', usageType: 'USE1-MP:USE1_InputTokenCount-Units' },
    { service: 'Tax' },
  ])('leaves %j', (fields) => expect(isBedrock({ ...line, ...fields })).toBe(false));
});

it.each([
  ['Usage', 'usage'],
  ['', 'usage'],
  ['Credit', 'credit'],
  ['Refund', 'refund'],
  ['Tax', 'tax'],
  ['EdpDiscount', 'discount'],
  ['PrivateRateDiscount', 'discount'],
  ['Fee', 'fee'],
  ['constructor', 'fee'],
])('takes the charge %j for %s', (type, kind) => expect(kindOfCharge(type)).toBe(kind));

it.each([
  ['APS3-x', 'ap-south-1'],
  ['UGW1-x', 'us-gov-west-1'],
  ['Requests-Tier1', undefined],
  ['constructor-x', undefined],
])('finds the region of %s', (usageType, region) => expect(findBilledRegion(usageType)).toBe(region));
