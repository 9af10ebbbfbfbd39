import { describe, expect, it } from 'vitest';
import { openModelNames } from '../../../src/cli/usage/model-names.ts';
import type { BillGroup } from '../../../src/pricing/bill/bill.ts';

const PROFILE = 'arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/0abcdefghijk';
const KNOWN = [
  'amazon.nova-pro-v1:0',
  'anthropic.claude-sonnet-4-5',
  'anthropic.claude-sonnet-4-5-20250929-v1:0',
  'anthropic.claude-3-5-sonnet-20240620-v1:0',
];

function names(billed: readonly string[], called: readonly string[]) {
  const groups = billed.map((name) => ({ name }) as BillGroup);
  const profiles = new Map([[PROFILE, { name: 'NovaPro', isGlobal: false }]]);
  return openModelNames({ groups, profiles }, called, KNOWN);
}

describe('openModelNames', () => {
  it.each([
    { bill: 'NovaPro', ledger: 'us.amazon.nova-pro-v1:0', model: 'amazon.nova-pro-v1:0' },
    { bill: 'NovaPro', ledger: PROFILE, model: 'amazon.nova-pro-v1:0' },
    {
      bill: 'NovaPro',
      ledger: 'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0',
      model: 'amazon.nova-pro-v1:0',
    },
    {
      bill: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
      ledger: 'eu.anthropic.claude-sonnet-4-5-20250929-v1:0',
      model: 'anthropic.claude-sonnet-4-5-20250929-v1:0',
    },
    { bill: 'acme.brand-new-v1:0', ledger: 'us.acme.brand-new-v1:0', model: 'acme.brand-new-v1:0' },
    { bill: 'Brand New 7 (Amazon Bedrock Edition)', ledger: 'acme.brand-new-7-v1:0', model: 'acme.brand-new-7-v1:0' },
  ])('gives $bill and $ledger one name', ({ bill, ledger, model }) => {
    const found = names([bill], [ledger]);
    expect([found.ofBill(bill), found.ofLedger(ledger).model]).toEqual([model, model]);
  });

  it('tells global profiles apart', () => {
    const found = names([], ['global.amazon.nova-pro-v1:0']);
    expect(found.ofLedger('global.amazon.nova-pro-v1:0')).toEqual({ model: 'amazon.nova-pro-v1:0', isGlobal: true });
  });

  it('lets names stand that nobody knows', () => {
    const found = names(['Nobody 9 (Amazon Bedrock Edition)'], ['my-endpoint']);
    expect(found.ofBill('Nobody 9 (Amazon Bedrock Edition)')).toBe('Nobody 9');
    expect(found.ofLedger('my-endpoint').model).toBe('my-endpoint');
    expect(found.ofLedger(undefined)).toEqual({ model: '', isGlobal: false });
  });
});
