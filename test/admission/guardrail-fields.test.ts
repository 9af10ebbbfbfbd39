/**
 * A request that names a guardrail is known to, wherever its operation names one: a guardrail is billed besides the
 * model.
 */
import { describe, expect, it } from 'vitest';
import { gzipSync } from 'node:zlib';
import { mayNameGuardrail } from '../../src/admission/guardrail-fields.ts';
import { type Asked, HAIKU, openAdmitting } from './admitting.ts';

const GUARDRAIL = { guardrailIdentifier: 'gr1', guardrailVersion: '1' };
const generationConfiguration = { guardrailConfiguration: { guardrailId: 'gr1', guardrailVersion: '1' } };
const rag = (configuration: object): Asked => ({
  path: '/retrieveAndGenerate',
  body: { input: { text: 'hi' }, retrieveAndGenerateConfiguration: configuration },
});
const AS_A_CALLER: readonly { readonly caller: string; readonly more: Asked }[] = [
  { caller: 'a key without limits', more: {} },
  { caller: 'anybody, where no key was ever made', more: { principal: { kind: 'anonymous', label: 'anonymous' } } },
  { caller: 'a key whose tokens are counted', more: { policy: { tokensPerMinute: 1e9, scope: 'all' } } },
];

describe.each(AS_A_CALLER)('a guardrail that is named by $caller', ({ more }) => {
  const namesGuardrail = async (asked: Asked): Promise<boolean> => {
    const { ask } = await openAdmitting();
    return (await ask({ ...asked, ...more })).namesGuardrail;
  };

  it.each<Asked & { readonly name: string }>([
    { name: 'Converse', body: { guardrailConfig: GUARDRAIL } },
    { name: 'ConverseStream', path: `/model/${HAIKU}/converse-stream`, body: { guardrailConfig: GUARDRAIL } },
    { name: 'escaped', body: Buffer.from(String.raw`{"\u0067uardrail\u0043onfig":{"guardrail\u0049dentifier":"g"}}`) },
    {
      name: 'escaped to the last letter',
      body: Buffer.from(escapeAll('{"guardrailConfig":{"guardrailIdentifier":1}}')),
    },
    {
      name: 'gzip',
      headers: [['content-encoding', 'gzip']],
      body: gzipSync(JSON.stringify({ guardrailConfig: GUARDRAIL })),
    },
    {
      name: 'InvokeModel',
      path: `/model/${HAIKU}/invoke`,
      headers: [['X-Amzn-Bedrock-GuardrailIdentifier', 'gr1']],
    },
    {
      name: 'OpenAI',
      path: '/openai/v1/chat/completions',
      headers: [['x-amzn-bedrock-guardrailidentifier', 'gr1']],
      body: { model: 'openai.gpt-oss-20b-1:0' },
    },
    {
      name: 'an inline agent',
      path: '/agents/s1',
      body: { foundationModel: HAIKU, guardrailConfiguration: GUARDRAIL },
    },
    { name: 'a knowledge base', ...rag({ knowledgeBaseConfiguration: { modelArn: HAIKU, generationConfiguration } }) },
    { name: 'sources', ...rag({ externalSourcesConfiguration: { modelArn: HAIKU, generationConfiguration } }) },
  ])('is seen: $name', async (asked) => {
    expect(await namesGuardrail(asked)).toBe(true);
  });

  it.each<Asked & { readonly name: string }>([
    { name: 'nothing of it', body: { messages: [{ role: 'user', content: [{ text: 'hi' }] }] } },
    { name: 'no body', body: Buffer.alloc(0) },
    { name: 'null', body: { guardrailConfig: null } },
    { name: 'null in it', body: { guardrailConfig: { guardrailIdentifier: null } } },
    {
      name: 'in the text alone',
      body: { messages: [{ content: [{ text: '"guardrailConfig":{"guardrailIdentifier"' }] }] },
    },
    { name: 'a text that is guarded', body: { messages: [{ content: [{ guardContent: { text: { text: 'x' } } }] }] } },
    { name: 'deeper', body: { x: { guardrailConfig: GUARDRAIL } } },
  ])('is not made up: $name', async (asked) => {
    expect(await namesGuardrail(asked)).toBe(false);
  });
});

describe('the search in a large body', () => {
  const text = Buffer.from(`${'x'.repeat(40)}guardrail${'y'.repeat(40)}`);
  const cuts = Array.from({ length: text.length + 1 }, (_, at) => [text.subarray(0, at), text.subarray(at)]);
  const bytes = Array.from(text, (byte) => Buffer.from([byte]));
  it('finds what is cut anywhere, in memory and in a file', async () => {
    for (const chunks of [...cuts, bytes]) {
      expect(mayNameGuardrail(chunks)).toBe(true);
      expect(await mayNameGuardrail(read(chunks))).toBe(true);
    }
  });

  it('finds nothing where there is nothing', async () => {
    const chunks = [Buffer.from('guard'), Buffer.from(' rail'), Buffer.from(String.raw`\u00`), Buffer.from('e9')];
    expect(mayNameGuardrail(chunks)).toBe(false);
    expect(await mayNameGuardrail(read(chunks))).toBe(false);
  });

  it('does not fail where a file cannot be read', async () => {
    expect(await mayNameGuardrail(UNREADABLE)).toBe(false);
  });
});

const UNREADABLE: AsyncIterable<Buffer> = {
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('the disk is gone')) }),
};

async function* read(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
}

/** Every letter of the names as its number. */
function escapeAll(json: string): string {
  return json.replaceAll(/[a-z]/gi, (letter) => String.raw`\u00` + letter.charCodeAt(0).toString(16));
}
