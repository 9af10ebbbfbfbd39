import { describe, expect, it } from 'vitest';
import { ErrorBodyReader, readErrorBody } from '../../src/metering/error-body.ts';
import { Tally } from '../../src/metering/usage-tally.ts';

const LONG = 'm'.repeat(5_000);

describe('the body of an error', () => {
  it.each([
    { name: "AWS's", body: '{"message":"No."}', type: undefined, message: 'No.' },
    { name: 'with a capital', body: '{"Message":"No."}', type: undefined, message: 'No.' },
    {
      name: 'with its type',
      body: '{"__type":"com.amazon.coral.service#AccessDeniedException","Message":null,"message":"No."}',
      type: 'AccessDeniedException',
      message: 'No.',
    },
    {
      name: "Anthropic's",
      body: '{"type":"error","error":{"type":"invalid_request_error","message":"No."}}',
      type: 'invalid_request_error',
      message: 'No.',
    },
    { name: "OpenAI's", body: '{"error":{"code":"not_found","message":"No."}}', type: 'not_found', message: 'No.' },
    { name: 'that is no JSON', body: '<html>No.</html>', type: undefined, message: undefined },
    { name: 'without a message', body: '{"message":{"a":1}}', type: undefined, message: undefined },
    { name: 'that is null', body: 'null', type: undefined, message: undefined },
    { name: 'that is empty', body: '', type: undefined, message: undefined },
    {
      name: 'that is longer than what is kept',
      body: `{"__type":"a#B","message":"\\"${LONG}"}`,
      type: 'B',
      message: expect.stringMatching(/^"m{3000}/),
    },
    { name: 'that is cut in an escape', body: `{"message":"a\\u00`, type: undefined, message: 'a' },
  ])('reads the body of an error $name', ({ body, type, message }) => {
    expect(readErrorBody(Buffer.from(body))).toEqual({ type, message });
  });

  it('holds a copy of its first 4 KiB, and no more', () => {
    const tally = new Tally();
    const reader = new ErrorBodyReader(tally);
    const first = Buffer.from('{"message":"first');
    reader.read(first);
    first.fill(0);
    for (let count = 0; count < 100; count += 1) reader.read(Buffer.alloc(65_536, 'x'));
    reader.finish();
    expect(tally.errorMessage).toMatch(/^firstx+$/);
    expect(tally.errorMessage?.length).toBeLessThan(4_097);
  });
});
