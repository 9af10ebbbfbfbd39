/** Input that is not in the body because of a few words in it: instructions for tools, a compaction. */
import { expect, it } from 'vitest';
import { inspectBody } from '../../src/admission/scan-body.ts';

async function read(body: object) {
  const bytes = Buffer.from(JSON.stringify(body));
  const route = { service: 'bedrock-runtime', operation: 'Converse', pathModel: 'm', headers: [] };
  const whole = { chunks: [bytes], sizeBytes: bytes.length };
  const { inputTokens, copies } = await inspectBody({ ...route, isSized: true, maxUnpackedBytes: 1e6, body: whole });
  return { inputTokens, copies, ofText: Math.ceil(bytes.length / 3) };
}

const own = { name: 'f', input_schema: { type: 'object', properties: { type: { type: 'string' } } } };

it.each([
  { name: 'no tools', body: { messages: [] }, hidden: 0 },
  { name: 'no tools, in a list', body: { tools: [] }, hidden: 0 },
  { name: 'tools of its own', body: { tools: [own, { ...own, type: 'custom' }, { type: 'function' }] }, hidden: 600 },
  { name: 'tools of Converse', body: { toolConfig: { tools: [{ toolSpec: { name: 'f' } }] } }, hidden: 600 },
  {
    name: 'tools that Anthropic describes',
    body: { tools: [{ type: 'computer_20250124' }, { type: 'bash_20250124' }, own] },
    hidden: 3_200,
  },
  {
    name: 'one of them in Converse',
    body: { additionalModelRequestFields: { tools: [{ type: 'computer_20250124' }] } },
    hidden: 1_900,
  },
])('counts what a provider says of tools: $name', async ({ body, hidden }) => {
  const { inputTokens, copies, ofText } = await read(body);
  expect(inputTokens - ofText).toBe(hidden);
  expect(copies).toBe(1);
});

it.each([
  { name: "Anthropic's", body: { context_management: { edits: [{ type: 'compact_20260112' }] } }, turns: 2 },
  {
    name: "Anthropic's in Converse",
    body: { additionalModelRequestFields: { context_management: { edits: [{ type: 'compact_20260112' }] } } },
    turns: 2,
  },
  { name: "OpenAI's", body: { context_management: [{ type: 'compaction', compact_threshold: 1000 }] }, turns: 2 },
  {
    name: 'another edit',
    body: { context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] } },
    turns: 1,
  },
])('counts a conversation that may be compacted twice: $name', async ({ body, turns }) => {
  const { inputTokens, copies, ofText } = await read(body);
  expect({ inputTokens, copies }).toEqual({ inputTokens: ofText * turns, copies: turns });
});
