/** Fuzz target of the cache doctor: prompts come from clients, who may send whatever they like. */
import { ok, strictEqual } from 'node:assert';
import { readCachePrompt } from '../../src/diagnose/cache-blocks.ts';
import { CacheDoctor } from '../../src/diagnose/cache-doctor.ts';
import { readJsonTree } from '../../src/protocol/json-tree.ts';
import type { FuzzTarget } from './engine.ts';

const OPERATIONS = ['Converse', 'InvokeModel', 'CreateMessage', 'ChatCompletions'];
const SCOPE = { model: 'anthropic.claude-sonnet-5', region: 'us-east-1', upstream: '' };

/** Spans lie within the body and in its order; what a parser takes is read; nothing throws, of no prompt and of any two. */
export const CACHE_PROMPT: FuzzTarget = {
  name: 'cache-prompt',
  words: [
    '{"system":[{"text":"2026-11-28T09:00:00Z"},{"cachePoint":{"type":"default"}}],"messages":[',
    '{"role":"user","content":[{"text":"a"}]}',
    '"cache_control":{"type":"ephemeral","ttl":"1h"}',
    '"anthropic_version":"",',
    '"toolConfig":{"tools":[{"toolSpec":{"name":"a"}}]}',
    '"tools":[',
    '\\u00e9',
  ],
  check: (input) => {
    strictEqual(readJsonTree(input) !== undefined || !isJson(input), true, 'a parser takes it');
    for (const operation of OPERATIONS) {
      for (const { span, content } of readCachePrompt(input, operation)?.blocks ?? []) {
        let at = span[0];
        for (const [from, to] of content) {
          ok(from >= at && to > from && to <= span[1]);
          at = to;
        }
        ok(span[1] <= input.length);
      }
    }
    tellDoctor(input);
  },
};

function tellDoctor(input: Buffer): void {
  const doctor = new CacheDoctor({ key: Buffer.alloc(32) });
  const half = input.length >> 1;
  const bodies = [input, Buffer.concat([input.subarray(0, half), Buffer.from('09:01:00'), input.subarray(half)])];
  for (const [index, body] of bodies.entries()) {
    const id = String(index);
    doctor.sent({ id, caller: 'k', scope: SCOPE, operation: 'Converse', body, sentAtMs: index });
    doctor.begun(id, index);
    const usage = { inputTokens: 3_000, cacheWriteTokens: 2_000 };
    doctor.ended(id, { status: 200, errorMessage: undefined, usage, price: undefined });
    const report = doctor.verdictOf(id);
    if (report !== undefined) JSON.stringify(doctor.withTexts(report, body, input));
  }
}

/** Of well-formed UTF-8, and no deeper or larger than a prompt is. */
function isJson(input: Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input));
    return true;
  } catch {
    return false;
  }
}
