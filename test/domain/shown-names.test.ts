import { describe, expect, it } from 'vitest';
import { shortModelName, shortOperationName } from '../../src/domain/shown-names.ts';

describe('a model as lists show it', () => {
  it.each([
    ['us.anthropic.claude-sonnet-4-5-20250929-v1:0', 'claude-sonnet-4-5'],
    ['arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0', 'nova-lite'],
    ['openai.gpt-oss-120b-1:0', 'gpt-oss-120b-1'],
    ['a1b2c3d4e5f6', 'a1b2c3d4e5f6'],
  ])('%s is %s', (model, shown) => expect(shortModelName(model)).toBe(shown));
});

describe('an operation as lists show it', () => {
  it.each([
    [{ operation: 'InvokeModelWithResponseStream' }, 'invoke-stream'],
    [{ operation: 'ConverseStream', method: 'POST', path: '/x' }, 'converse-stream'],
    [{ method: 'POST', path: '/modle/x' }, 'POST /modle/x'],
    [{ method: 'POST' }, 'POST'],
    [{}, undefined],
  ])('%j is %s', (row, shown) => {
    const nothing = { operation: undefined, method: undefined, path: undefined };
    expect(shortOperationName({ ...nothing, ...row })).toBe(shown);
  });
});
