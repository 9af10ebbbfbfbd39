import { describeHead } from '../../src/http/message.ts';
import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/lib/errors.ts';
import { type RequestRecord, openRecord } from '../../src/domain/request-record.ts';
import {
  findCostNanoUsd,
  findErrorCode,
  findErrorMessage,
  findModel,
  findPricing,
  hideKeys,
} from '../../src/domain/outcome.ts';
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

describe('the message of an error', () => {
  const tokens = 'FwoGZXIvYXdzEBYaDN' + 'a1B2c3/+'.repeat(20);

  it.each([
    { name: 'as AWS said it', text: 'You are\nnot  authorized.', told: 'You are not authorized.' },
    { name: 'without controls', text: 'a\u001b[2Jb\u202ec', told: 'a?[2Jb?c' },
    { name: 'without keys of ours', text: `The key sk-${'a'.repeat(40)} is wrong.`, told: 'The key sk-… is wrong.' },
    {
      name: "without a session's token",
      text: `x-amz-security-token:${tokens}\nhost:h`,
      told: 'x-amz-security-token:… host:h',
    },
    { name: 'without an API key', text: `bedrock-api-key-YmVkcm9jaw== or ABSK${'b'.repeat(30)}.`, told: '… or …' },
    { name: 'without a bearer token', text: 'Bearer abc.def is wrong', told: 'Bearer … is wrong' },
    { name: 'without what may be a token', text: `The token ${tokens} is wrong.`, told: 'The token … is wrong.' },
    {
      name: 'with the names of what it is about',
      text: 'User: arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developers_0123456789abcdef/jane is not authorized',
      told: 'User: arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Developers_0123456789abcdef/jane is not authorized',
    },
  ])('tells the message of an error $name', ({ text, told }) => {
    expect(findErrorMessage(anRecord({ upstreamErrorMessage: text }))).toBe(told);
  });

  it('tells at most 500 characters of it', () => {
    const told = findErrorMessage(anRecord({ upstreamErrorMessage: 'word '.repeat(100_000) }));
    expect(told).toHaveLength(500);
    expect(told).toMatch(/…$/);
  });

  it('tells what the proxy said before what AWS said, and nothing of what went well', () => {
    const error = new ProxyError('ERR_CLIENT_GONE', 'It left.', { detail: '/home/x' });
    expect(findErrorMessage(anRecord({ error, upstreamErrorMessage: 'x' }))).toBe('It left.');
    expect(findErrorMessage(anRecord({}))).toBeUndefined();
  });
});
