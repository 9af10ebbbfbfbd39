/** How many searches of the web a request lets its model make. */
import { expect, it } from 'vitest';
import { inspectBody } from '../../src/admission/scan-body.ts';

const search = { type: 'web_search_20250305', name: 'web_search' };

it.each([
  { name: 'no tools', body: {}, expected: 0 },
  { name: 'other tools', body: { tools: [{ type: 'bash_20250124', max_uses: 7 }] }, expected: 0 },
  { name: 'a search with a limit', body: { tools: [{ ...search, max_uses: 3 }] }, expected: 3 },
  { name: 'a limit before its type', body: { tools: [{ max_uses: 3, ...search }] }, expected: 3 },
  { name: 'a search without a limit', body: { tools: [search] }, expected: 10 },
  { name: 'a limit that is none', body: { tools: [{ ...search, max_uses: -1 }] }, expected: 10 },
  {
    name: 'several tools, each with its own limit',
    body: { tools: [{ type: 'bash_20250124', max_uses: 90 }, { ...search, max_uses: 2 }, search, { type: 'x' }] },
    expected: 12,
  },
  {
    name: 'two limits in one tool',
    body: '{"tools":[{"max_uses":1,"type":"web_search","max_uses":4}]}',
    expected: 4,
  },
  {
    name: 'a search in fields of Converse',
    body: { additionalModelRequestFields: { tools: [{ ...search, max_uses: 5 }] } },
    expected: 5,
  },
  {
    name: 'the search of Nova',
    body: { toolConfig: { tools: [{ systemTool: { name: 'nova_grounding' } }] } },
    expected: 10,
  },
  { name: 'the search of OpenAI', body: { tools: [{ type: 'web_search' }] }, expected: 10 },
])('counts the searches of $name', async ({ body, expected }) => {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const route = { service: 'bedrock-runtime', operation: 'Converse', pathModel: 'm', headers: [] };
  const whole = { chunks: [bytes], sizeBytes: bytes.length };
  const found = await inspectBody({ ...route, isSized: true, maxUnpackedBytes: 1e6, body: whole });
  expect(found.webSearches).toBe(expected);
});
