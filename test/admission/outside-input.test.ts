/** What a body points to instead of holding it: any of it makes the size of the input unknown. */
import { describe, expect, it } from 'vitest';
import { inspectBody } from '../../src/admission/scan-body.ts';
import type { HeaderPair } from '../../src/http/message.ts';

interface Given {
  readonly operation?: string;
  readonly service?: string;
  readonly headers?: readonly HeaderPair[];
}

const inspect = (body: unknown, { operation = 'Converse', service = 'bedrock-runtime', headers = [] }: Given = {}) => {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const whole = { chunks: [bytes], sizeBytes: bytes.length };
  return inspectBody({
    service,
    operation,
    pathModel: 'm',
    headers,
    body: whole,
    isSized: true,
    maxUnpackedBytes: 1_000_000,
  });
};

const user = (...content: object[]) => ({ messages: [{ role: 'user', content: [{ text: 'Look.' }, ...content] }] });
const s3Location = { uri: 's3://bucket/book.txt', bucketOwner: '111122223333' };
const ask = (...input: object[]) => ({ model: 'm', input });

describe('input that is not in the body', () => {
  it.each([
    { name: 'a document in S3', body: user({ document: { format: 'txt', name: 'a', source: { s3Location } } }) },
    { name: 'a film in S3', body: user({ video: { source: { s3Location } } }) },
    {
      name: 'a document in S3 in the result of a tool',
      body: user({ toolResult: { content: [{ document: { format: 'pdf', source: { s3Location } } }] } }),
    },
    {
      name: 'a picture by its address in a document of Claude',
      body: user({
        type: 'document',
        source: { type: 'content', content: [{ type: 'image', source: { type: 'url', url: 'https://a/b' } }] },
      }),
    },
    { name: 'a film by its address', body: user({ type: 'video_url', video_url: { url: 'https://a/b' } }) },
    { name: 'a film in the body', body: user({ type: 'video_url', video_url: { url: 'data:video/mp4;base64,AAAA' } }) },
    {
      name: 'a stored screen',
      body: ask({ type: 'computer_call_output', output: { type: 'computer_screenshot', file_id: 'f' } }),
    },
    {
      name: 'a picture of Claude by its address',
      body: user({ type: 'image', source: { type: 'url', url: 'https://a/b' } }),
    },
    { name: 'a file of Claude', body: user({ type: 'document', source: { type: 'file', file_id: 'file_1' } }) },
    {
      name: 'a file in the result of a tool of Claude',
      body: user({ type: 'tool_result', content: [{ type: 'document', source: { type: 'file', file_id: 'file_1' } }] }),
    },
    { name: 'a file for a container', body: user({ type: 'container_upload', file_id: 'file_1' }) },
    { name: 'a container', body: { ...user(), container: 'container_1' } },
    { name: 'servers of MCP', body: { ...user(), mcp_servers: [{ type: 'url', url: 'https://a' }] } },
    { name: 'a search of Claude', body: { ...user(), tools: [{ type: 'web_search_20250305', name: 'web_search' }] } },
    {
      name: 'a search of Claude in Converse',
      body: { ...user(), additionalModelRequestFields: { tools: [{ type: 'web_fetch_20250910' }] } },
    },
    {
      name: 'a search of Nova',
      body: { ...user(), toolConfig: { tools: [{ systemTool: { name: 'nova_grounding' } }] } },
    },
    { name: 'a picture by its address', body: user({ type: 'image_url', image_url: { url: 'https://a/b.png' } }) },
    { name: 'a picture in S3 by its address', body: user({ type: 'image_url', image_url: 's3://a/b.png' }) },
    { name: 'a file of OpenAI', body: user({ type: 'file', file: { file_id: 'file-1' } }) },
    { name: 'an earlier response', body: { model: 'm', input: 'Go on.', previous_response_id: 'resp_1' } },
    { name: 'a conversation', body: { model: 'm', input: 'Go on.', conversation: 'conv_1' } },
    { name: 'a conversation, as an object', body: { model: 'm', input: 'Go on.', conversation: { id: 'conv_1' } } },
    { name: 'a stored prompt', body: { model: 'm', prompt: { id: 'pmpt_1', version: '2' } } },
    { name: 'an item that was kept', body: ask({ type: 'item_reference', id: 'msg_1' }) },
    {
      name: 'an item that was kept, without a type',
      body: ask({ type: 'message', role: 'user' }, { id: 'msg_1' }, {}),
    },
    { name: 'the last item, that was kept', body: ask({ id: 'msg_1' }) },
    {
      name: 'a file by its address',
      body: ask({ role: 'user', content: [{ type: 'input_file', file_url: 'https://a' }] }),
    },
    { name: 'a file of a call', body: ask({ type: 'function_call_output', output: [{ file_id: 'file-1' }] }) },
    { name: 'a search in stores', body: { ...ask(), tools: [{ type: 'file_search', vector_store_ids: ['vs_1'] }] } },
    { name: 'a server of MCP', body: { ...ask(), tools: [{ type: 'mcp', server_url: 'https://a' }] } },
    { name: 'a pdf, however small', body: user({ document: { format: 'pdf', source: { bytes: 'JVBERi0=' } } }) },
    { name: 'a film', body: user({ video: { format: 'mp4', source: { bytes: 'AAAA' } } }) },
    { name: 'speech', body: user({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'mp3' } }) },
    {
      name: 'a pdf of Claude',
      body: user({ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERi0=' } }),
    },
    { name: 'a body that is no JSON', body: 'model=m&s3Location=x' },
    { name: 'a body that is half an object', body: '{"messages":[' },
  ])('knows that the model reads more than the body: $name', async ({ body }) => {
    expect(await inspect(body)).toMatchObject({ hasOutsideInput: true });
  });

  it('knows that of any agent', async () => {
    const given = { service: 'bedrock-agent-runtime', operation: 'InvokeInlineAgent' };
    expect(await inspect({ foundationModel: 'm', inputText: 'Hello' }, given)).toMatchObject({ hasOutsideInput: true });
  });

  it.each([
    { name: 'nothing', body: '' },
    { name: 'text that speaks of it', body: user({ text: '"s3Location": {"uri": "s3://a"}, "file_id": "x"' }) },
    { name: 'arguments of a tool', body: user({ toolUse: { input: { s3Location, file_id: 'a', url: 'https://a' } } }) },
    {
      name: 'arguments of a tool of Claude',
      body: user({ type: 'tool_use', input: { source: { url: 'https://a' } } }),
    },
    {
      name: 'the schema of a tool',
      body: { ...user(), tools: [{ type: 'custom', name: 't', input_schema: { properties: { file_id: {} } } }] },
    },
    { name: 'a tool that the client runs', body: { ...user(), tools: [{ type: 'bash_20250124', name: 'bash' }] } },
    {
      name: 'a picture as a data URL',
      body: user({ image_url: { url: `data:image/png;base64,${'A'.repeat(9000)}` } }),
    },
    { name: 'a document of text', body: user({ document: { format: 'txt', source: { bytes: 'AAAA' } } }) },
    { name: 'items that are there', body: ask({ type: 'reasoning', id: 'rs_1' }, { id: 'msg_1', type: 'message' }) },
    { name: 'no earlier response', body: { model: 'm', input: 'Hello', previous_response_id: null } },
    { name: "Llama's prompt", body: { prompt: 'Hello' } },
  ])('knows that the body holds all that the model reads: $name', async ({ body }) => {
    expect(await inspect(body)).toMatchObject({ hasOutsideInput: false });
  });
});

describe('a context window of a million tokens', () => {
  const beta = 'context-1m-2025-08-07';
  it.each([
    { name: 'in the body', body: { anthropic_beta: ['other', beta] } },
    { name: 'in fields of Converse', body: { additionalModelRequestFields: { anthropic_beta: [beta] } } },
    { name: 'in a header', body: {}, headers: [['Anthropic-Beta', `other,${beta}`]] as const },
  ])('is asked for $name', async ({ body, headers = [] }) => {
    expect(await inspect(body, { headers })).toMatchObject({ wantsLongContext: true });
  });

  it('is not asked for by other betas', async () => {
    const headers = [['anthropic-beta', 'interleaved-thinking-2025-05-14']] as const;
    expect(await inspect({ anthropic_beta: ['x'] }, { headers })).toMatchObject({ wantsLongContext: false });
  });
});
