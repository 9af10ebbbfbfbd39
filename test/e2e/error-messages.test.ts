/**
 * What an error says stands in the ledger, AWS's words and ours; its bytes pass as they came, and nothing of an answer
 * is kept.
 */
import { describe, expect } from 'vitest';
import { exceptionFrame, startEventStream } from '../helpers/event-frames.ts';
import { proxyTest } from '../helpers/proxy-test.ts';

const { it, testbed } = proxyTest();

async function post(path: string, key: string): Promise<{ status: number; text: string }> {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(`${testbed.url}${path}`, { method: 'POST', headers, body: '{"messages":[]}' });
  return { status: response.status, text: await response.text() };
}

async function lastRow() {
  const [row] = await testbed.store.readLedgerBackwards({}, { limit: 1 });
  return row;
}

const CONVERSE = '/model/amazon.nova-lite-v1:0/converse';
const DENIED = 'User: arn:aws:iam::123456789012:user/jane is not authorized to perform: bedrock:InvokeModel';

describe('what an error says', () => {
  it.each([
    { name: 'in one piece', pieces: [JSON.stringify({ message: DENIED })] },
    { name: 'in pieces', pieces: [...JSON.stringify({ message: DENIED })] },
  ])("is in the ledger, with method and path: AWS's, $name", async ({ pieces }) => {
    const { key } = await testbed.mint('alice');
    testbed.upstream.respondWith(async (_request, response) => {
      response.writeHead(403, { 'x-amzn-errortype': 'AccessDeniedException:', 'content-type': 'application/json' });
      for (const piece of pieces) response.write(piece);
      response.end();
    });
    const over = testbed.nextRecord();
    expect(await post(CONVERSE, key)).toEqual({ status: 403, text: pieces.join('') });
    await over;
    expect(await lastRow()).toMatchObject({
      errorCode: 'AccessDeniedException',
      errorMessage: DENIED,
      method: 'POST',
      path: `/bedrock${CONVERSE}`,
    });
  });

  it('is in the ledger with the type of the body if no header has it', async () => {
    const { key } = await testbed.mint('alice');
    testbed.upstream.respondWith((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"error":{"type":"not_found_error","message":"There is no such model."}}');
    });
    const over = testbed.nextRecord();
    await post('/openai/v1/chat/completions', key);
    await over;
    expect(await lastRow()).toMatchObject({ errorCode: 'not_found_error', errorMessage: 'There is no such model.' });
  });

  it('is in the ledger: of an exception in a stream', async () => {
    const { key } = await testbed.mint('alice');
    testbed.upstream.respondWith((_request, response) => {
      startEventStream(response);
      response.end(exceptionFrame('throttlingException', 'Too many tokens.'));
    });
    const over = testbed.nextRecord();
    await post('/model/amazon.nova-lite-v1:0/converse-stream', key);
    await over;
    expect(await lastRow()).toMatchObject({ errorCode: 'ThrottlingException', errorMessage: 'Too many tokens.' });
  });

  it('is in the ledger: ours, of a path that nobody knows', async () => {
    const { key } = await testbed.mint('alice');
    const over = testbed.nextRecord();
    const { status, text } = await post('/nowhere/at/all', key);
    await over;
    const row = await lastRow();
    expect(row).toMatchObject({ status, method: 'POST', path: '/bedrock/nowhere/at/all', operation: undefined });
    expect(text).toContain(row?.errorMessage);
  });

  it('is not there, nor a path, of what went well', async () => {
    const { key } = await testbed.mint('alice');
    testbed.upstream.respondWith((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"message":"An answer.","output":{"message":{"content":[{"text":"An answer."}]}}}');
    });
    const over = testbed.nextRecord();
    await post(CONVERSE, key);
    await over;
    expect(await lastRow()).toMatchObject({ errorMessage: undefined, method: undefined, path: undefined });
    expect(JSON.stringify(await lastRow())).not.toContain('An answer.');
  });
});
