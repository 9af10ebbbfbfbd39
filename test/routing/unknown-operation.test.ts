import { describe, expect, it } from 'vitest';
import { findNearestOperation, unknownOperation, unknownTarget } from '../../src/routing/unknown-operation.ts';

describe('unknownOperation', () => {
  it.each([
    ['a misspelt literal', 'POST', '/model/x/invok', 'POST /model/{modelId}/invoke (InvokeModel)'],
    ['another misspelt literal', 'POST', '/modle/x/converse', 'POST /model/{modelId}/converse (Converse)'],
    ['the wrong method', 'GET', '/model/x/invoke', 'POST /model/{modelId}/invoke (InvokeModel)'],
    ['the singular', 'GET', '/foundation-model', 'GET /foundation-models (ListFoundationModels)'],
    ['a missing first segment', 'POST', '/chat/completions', 'POST /v1/chat/completions (ChatCompletions)'],
    ['a missing segment', 'GET', '/guardrail/x', 'GET /guardrails/{guardrailIdentifier} (GetGuardrail)'],
    ['a segment too many', 'POST', '/v1/model/x/converse', 'POST /model/{modelId}/converse (Converse)'],
    ['capitals', 'POST', '/knowledgeBases/K/retrieve', 'POST /knowledgebases/{knowledgeBaseId}/retrieve (Retrieve)'],
  ])('names the nearest operation for %s', (_, method, path, nearest) => {
    const error = unknownOperation(method, path, '/bedrock');
    expect(error.code).toBe('ERR_UNKNOWN_OPERATION');
    expect(error.message).toContain(`${method} ${path}`);
    expect(error.message).toContain(`The nearest is ${nearest}.`);
    expect(error.hint).toContain(`/bedrock/<service>${path}`);
    expect(error.hint).toContain('bedrock-agentcore-control');
  });

  it.each([
    ['POST', '/xyz/abc'],
    ['GET', '/__proto__'],
    ['GET', '/favicon.ico'],
    ['GET', '/'],
  ])('names no operation if none is near: %s %s', (method, path) => {
    expect(unknownOperation(method, path, '/bedrock').message).not.toContain('nearest');
  });

  it('explains raw slashes in an ARN', () => {
    const path = '/tags/arn:aws:bedrock:us-east-1:1:agent/x';
    expect(unknownOperation('GET', path, '/bedrock').message).toContain('%2F');
  });

  it('gives an example for the bare mount', () => {
    expect(unknownOperation('GET', '/', '/bedrock').hint).toContain('/bedrock/foundation-models');
  });

  it.each([
    ['a long segment', `/model/${'a'.repeat(65_536)}`],
    ['a long escape', `/${'%2e'.repeat(22_000)}x`],
    ['many segments', `/${'model/'.repeat(11_000)}`],
    ['many segments of an ARN', `/${'arn:'.repeat(16_000)}`],
  ])('keeps the error of an unknown operation short and fast on %s', (_, path) => {
    const before = performance.now();
    const error = unknownOperation('POST', path, '/bedrock');
    expect(performance.now() - before).toBeLessThan(200);
    expect(error.message.length + (error.hint?.length ?? 0)).toBeLessThan(900);
  });
});

/** Of CPU, in milliseconds: the best of a few turns, so that a busy machine does not count. */
function measureCpu(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < 20; turn += 1) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1_000);
  }
  return best;
}

describe('findNearestOperation', () => {
  // 8 ms each: eight clients who asked for such paths made all others wait for half a second.
  it.each([1, 2, 3, 4, 5])('costs little for %i long segments that are like none', (count) => {
    const path = Array.from({ length: count }, (_, index) => `/${'abcdefg'.charAt(index).repeat(48)}`).join('');
    expect(measureCpu(() => findNearestOperation('GET', path))).toBeLessThan(4);
  });

  it('prefers operations of the requested method', () => {
    expect(findNearestOperation('DELETE', '/guardrail/x')?.name).toBe('DeleteGuardrail');
  });
});

describe('unknownTarget', () => {
  it('shows an unknown X-Amz-Target in quotes and cut short', () => {
    const error = unknownTarget(`DynamoDB_20120810."${'x'.repeat(1000)}`);
    expect(error.code).toBe('ERR_UNKNOWN_OPERATION');
    expect(error.message).toContain('"DynamoDB_20120810.');
    expect(error.message.length).toBeLessThan(200);
  });
});
