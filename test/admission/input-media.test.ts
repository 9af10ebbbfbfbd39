/** Documents of text in base64 count as the text that they are; others, films and speech have no size to go by. */
import { expect, it } from 'vitest';
import { inspectBody } from '../../src/admission/scan-body.ts';

const TEXT = 'Once upon a time. '.repeat(10_000);
const BASE64 = Buffer.from(TEXT).toString('base64');
/** No space in it: it looks like base64. */
const WORDS = 'word_'.repeat(40_000);
/** A token for three bytes, and little for what is around. */
const AS_TEXT = TEXT.length / 3;
const AS_WORDS = WORDS.length / 3;
const AS_BLOB = 5_000 + BASE64.length / 50;

const user = (...content: object[]) => ({ messages: [{ role: 'user', content }] });
const document = (fields: object) => user({ document: { name: 'd', ...fields } });
const source = (fields: object) => user({ type: 'document', source: fields });
const dataUrl = (type: string) => `data:${type};base64,${BASE64}`;

const bytes = BASE64;
const data = BASE64;

it.each([
  { name: 'txt', body: document({ format: 'txt', source: { bytes } }), expected: AS_TEXT },
  { name: 'md, its format last', body: document({ source: { bytes }, format: 'md' }), expected: AS_TEXT },
  { name: 'csv in capitals', body: document({ format: 'CSV', source: { bytes } }), expected: AS_TEXT },
  { name: 'a format that nobody knows', body: document({ format: 'log', source: { bytes } }), expected: AS_TEXT },
  { name: 'no format', body: document({ source: { bytes } }), expected: AS_TEXT },
  { name: 'pdf', body: document({ format: 'pdf', source: { bytes } }), expected: AS_BLOB },
  {
    name: 'two formats, of which AWS takes one',
    body: `{"messages":[{"content":[{"document":{"format":"pdf","source":{"bytes":"${bytes}"},"format":"txt"}}]}]}`,
    expected: AS_TEXT + AS_BLOB,
  },
  {
    name: 'a pdf, then a txt',
    body: user(
      { document: { format: 'pdf', source: { bytes } } },
      { document: { source: { bytes }, format: 'txt' } },
      { image: { format: 'png', source: { bytes } } },
    ),
    expected: AS_TEXT + 2 * AS_BLOB,
  },
  {
    name: 'html in the result of a tool',
    body: user({ toolResult: { content: [{ document: { format: 'html', source: { bytes } } }] } }),
    expected: AS_TEXT,
  },
  {
    name: 'a picture in a document of Claude',
    body: source({
      type: 'content',
      content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data } }],
    }),
    expected: AS_BLOB,
  },
  {
    name: 'a pdf that Claude fetched',
    body: user({
      type: 'web_fetch_tool_result',
      content: {
        type: 'web_fetch_result',
        content: { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data } },
      },
    }),
    expected: AS_BLOB,
  },
  {
    name: 'a picture for a guardrail',
    body: user({ guardContent: { image: { format: 'png', source: { bytes } } } }),
    expected: AS_BLOB,
  },
  {
    name: 'a film by its address',
    body: user({ type: 'video_url', video_url: { url: dataUrl('video/mp4') } }),
    expected: AS_BLOB,
  },
  {
    name: 'a screen',
    body: {
      input: [
        { type: 'computer_call_output', output: { type: 'computer_screenshot', image_url: dataUrl('image/png') } },
      ],
    },
    expected: AS_BLOB,
  },
  { name: 'a picture', body: user({ image: { format: 'png', source: { bytes } } }), expected: AS_BLOB },
  {
    name: 'a pdf of Claude',
    body: source({ type: 'base64', media_type: 'application/pdf', data }),
    expected: AS_BLOB,
  },
  { name: 'a picture of Claude', body: source({ data, media_type: 'image/png', type: 'base64' }), expected: AS_BLOB },
  {
    name: 'text of Claude in base64',
    body: source({ type: 'base64', media_type: 'text/plain', data }),
    expected: AS_TEXT,
  },
  {
    name: 'text of Claude without a space',
    body: source({ type: 'text', media_type: 'text/plain', data: WORDS }),
    expected: AS_WORDS,
  },
  {
    name: 'text of Claude that says it is a picture',
    body: source({ type: 'text', media_type: 'image/png', data: WORDS }),
    expected: AS_WORDS + 5_000 + WORDS.length / 50,
  },
  { name: 'a file of OpenAI', body: user({ file: { file_data: dataUrl('text/markdown') } }), expected: AS_TEXT },
  { name: 'a pdf of OpenAI', body: user({ file: { file_data: dataUrl('application/pdf') } }), expected: AS_BLOB },
  {
    name: 'a file of a response',
    body: { input: [{ content: [{ type: 'input_file', file_data: dataUrl('text/csv') }] }] },
    expected: AS_TEXT,
  },
  {
    name: 'a pdf of a response, without a type',
    body: { input: [{ content: [{ file_data: Buffer.from(`%PDF-1.7 ${TEXT}`).toString('base64') }] }] },
    expected: AS_BLOB,
  },
])('counts documents by what they are: $name', async ({ body, expected }) => {
  const whole = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  for (const size of [whole.length, 1_000, 37]) {
    const chunks = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
      whole.subarray(index * size, (index + 1) * size),
    );
    const route = { service: 'bedrock-runtime', operation: 'Converse', pathModel: 'm', headers: [] };
    const given = { ...route, isSized: true, maxUnpackedBytes: 1e6 };
    const { inputTokens } = await inspectBody({ ...given, body: { chunks, sizeBytes: whole.length } });
    expect(inputTokens).toBeGreaterThanOrEqual(Math.floor(expected));
    expect(inputTokens).toBeLessThan(expected + 150);
  }
});
