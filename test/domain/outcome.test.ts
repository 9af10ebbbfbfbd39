import { describeHead } from '../../src/http/message.ts';
import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import { type RequestRecord, openRecord } from '../../src/domain/request-record.ts';
import { findCostNanoUsd, findErrorCode, findModel, findPricing, hideKeys } from '../../src/domain/outcome.ts';
import { aClientRequest } from '../helpers/client-request.ts';

function anRecord(fields: Partial<RequestRecord>): RequestRecord {
  return { ...openRecord('id-1', 0, describeHead(aClientRequest())), ...fields };
}

describe('the model', () => {
  const route = { service: 's', operation: undefined, region: 'r', modelId: 'of-the-path' };

  it.each([
    { name: 'as the body names it', fields: { model: 'of-the-body', route }, model: 'of-the-body' },
    { name: 'as the path names it', fields: { route }, model: 'of-the-path' },
    { name: 'is unknown where nothing names it', fields: {}, model: undefined },
  ])('finds the model $name', ({ fields, model }) => {
    expect(findModel(anRecord(fields))).toBe(model);
  });
});

describe('the error code', () => {
  const ours = new ProxyError('ERR_CLIENT_GONE', 'm');

  it.each<{ name: string; fields: Partial<RequestRecord>; code: string | undefined }>([
    { name: 'none of a request that went well', fields: { status: 200 }, code: undefined },
    { name: 'ours', fields: { status: 499, error: ours }, code: 'ERR_CLIENT_GONE' },
    {
      name: "AWS's type",
      fields: { status: 429, upstreamErrorType: 'ThrottlingException' },
      code: 'ThrottlingException',
    },
    {
      name: 'ours before the type',
      fields: { status: 400, error: ours, upstreamErrorType: 'X' },
      code: 'ERR_CLIENT_GONE',
    },
    { name: "AWS's type behind a good status", fields: { status: 200, upstreamErrorType: 'X' }, code: 'X' },
    { name: 'none where AWS says none', fields: { status: 500 }, code: undefined },
  ])('finds the error code: $name', ({ fields, code }) => {
    expect(findErrorCode(anRecord(fields))).toBe(code);
  });
});

describe('price and cost', () => {
  it.each<{ name: string; fields: Partial<RequestRecord>; pricing: string; cost: number | undefined }>([
    { name: 'refused before it left', fields: {}, pricing: 'free', cost: 0 },
    { name: 'left, and never worked out', fields: { phase: 'sent' }, pricing: 'unpriced', cost: undefined },
    { name: 'priced', fields: { phase: 'ended', pricing: 'priced', costNanoUsd: 42 }, pricing: 'priced', cost: 42 },
    { name: 'free', fields: { phase: 'ended', pricing: 'free' }, pricing: 'free', cost: 0 },
    { name: 'unpriced', fields: { pricing: 'unpriced', costNanoUsd: 9 }, pricing: 'unpriced', cost: undefined },
  ])('finds price and cost of a request: $name', ({ fields, pricing, cost }) => {
    const record = anRecord(fields);
    expect([findPricing(record), findCostNanoUsd(record)]).toEqual([pricing, cost]);
  });
});

describe('a path with a key in it', () => {
  const KEY = 'sk-AbCdEf0123_-xyzAbCdEf0123_-xyzAbCdEf0123456';

  it.each([
    { name: 'is masked', path: `/key/${KEY}/regenerate`, shown: '/key/sk-…/regenerate' },
    { name: 'is masked at the end', path: `/key/${KEY}`, shown: '/key/sk-…' },
    { name: 'is masked in capitals', path: `/key/SK-${'A'.repeat(20)}`, shown: '/key/sk-…' },
    { name: 'is masked percent-encoded', path: '/key/%73k%2D%41bcdefghijkl/x', shown: '/key/sk-…/x' },
    { name: 'is masked behind an escape', path: `/a%2Fsk-abcdefghij/x`, shown: '/a%2Fsk-…/x' },
    { name: 'is masked twice', path: `/${KEY}/${KEY}`, shown: '/sk-…/sk-…' },
    { name: 'of ten characters is masked', path: '/key/sk-0123456789', shown: '/key/sk-…' },
    { name: 'of nine characters is none', path: '/key/sk-012345678', shown: '/key/sk-012345678' },
    {
      name: 'may have words that only end in sk',
      path: '/flows/task-assistant-flow',
      shown: '/flows/task-assistant-flow',
    },
  ])('hides keys in a path: $name', ({ path, shown }) => {
    expect(hideKeys(path)).toBe(shown);
  });
});
