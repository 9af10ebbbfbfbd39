/** The grammar of faults: what is read as what, and in which words mistakes are told. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FAULT_KINDS, parseFaultRule, parseOwnFault } from '../../src/faults/grammar.ts';

describe('what is read', () => {
  it.each([
    {
      text: 'throttle',
      rule: { phase: 'early', effect: { does: 'refuse', refusal: { status: 429 } }, p: 1, every: 1 },
    },
    { text: 'throttle retry-after=2 p=0.2', rule: { p: 0.2, effect: { retryAfterSeconds: 2 } } },
    { text: 'status=503', rule: { effect: { refusal: { status: 503, type: 'ServiceUnavailableException' } } } },
    { text: 'status=418', rule: { effect: { refusal: { status: 418, type: 'ValidationException' } } } },
    { text: 'connect', rule: { phase: 'early', effect: { does: 'connect' } } },
    { text: 'slow-accept=1.5s', rule: { effect: { does: 'wait', ms: 1500 } } },
    { text: 'first-byte=3s count=3 every=5 after=10', rule: { phase: 'late', count: 3, every: 5, after: 10 } },
    { text: 'gap=200ms..800ms', rule: { effect: { does: 'gap', fromMs: 200, toMs: 800 } } },
    { text: 'gap=1s', rule: { effect: { fromMs: 1000, toMs: 1000 } } },
    { text: 'rate=2kb/s', rule: { effect: { bytesPerSecond: 2000 } } },
    { text: 'stall at=frame:5', rule: { effect: { does: 'stall', at: { frames: 5, bytes: 0 } } } },
    { text: 'stall', rule: { effect: { at: { frames: 2, bytes: 0 } } } },
    { text: 'cut at=frame:3+20b', rule: { effect: { at: { frames: 3, bytes: 20 } } } },
    { text: 'cut', rule: { effect: { at: { frames: 2, bytes: 20 } } } },
    { text: 'reset at=2kb', rule: { effect: { at: { frames: 0, bytes: 2000 } } } },
    { text: 'exception=throttlingException at=frame:3', rule: { effect: { type: 'throttlingException' } } },
    { text: 'crc at=frame:2 which=prelude', rule: { effect: { which: 'prelude' } } },
    { text: 'body=malformed', rule: { effect: { does: 'malformed' } } },
    { text: 'empty', rule: { effect: { does: 'empty' } } },
  ])('$text', ({ text, rule }) => {
    expect(parseFaultRule(text)).toMatchObject({ text, ...rule });
  });

  it('holds the key against a rule whatever its filter says', () => {
    const rule = parseFaultRule('empty key=alice where op:a | op:b');
    expect(rule).not.toHaveProperty('problem');
    expect(parseFaultRule('empty key=alice where op:a | (')).toHaveProperty('problem');
  });
});

describe('what is refused', () => {
  it.each([
    { text: '', says: 'A fault begins with its kind.' },
    { text: 'throtle', says: 'There is no kind of fault "throtle".', hint: 'Did you mean throttle?' },
    { text: 'constructor', says: 'There is no kind of fault "constructor".' },
    { text: 'throttle=3', says: 'This fault takes nothing after =, not "3".' },
    { text: 'throttle coutn=3', says: 'throttle has no option "coutn".', hint: 'Did you mean count=?' },
    { text: 'throttle at=frame:3', says: 'throttle has no option "at".' },
    { text: 'throttle p=20%', says: 'p= takes a chance such as 0.2, not "20%".' },
    { text: 'throttle p=2', says: 'p= takes a chance such as 0.2, not "2".' },
    { text: 'throttle count=0', says: 'count= takes a whole number from 1, not "0".' },
    { text: 'throttle p=1 p=0', says: 'p is given twice.' },
    { text: 'status', says: 'After = this fault takes a status such as 503.' },
    { text: 'status=200', says: 'After = this fault takes a status such as 503.' },
    { text: 'first-byte=3', says: 'After = this fault takes a time such as 3s.' },
    { text: 'first-byte=61m', says: 'After = this fault takes a time such as 3s.' },
    { text: 'gap=800ms..200ms', says: 'gap= takes a time such as 200ms, or two such as 200ms..800ms.' },
    { text: 'rate=0kb/s', says: 'After = this fault takes bytes in a second, such as 2kb/s.' },
    { text: 'exception=abException at=frame:1+2b', says: 'at= takes whole frames here, such as frame:3.' },
    { text: 'exception=a\r\nb', says: 'exception has no option "b".' },
    { text: 'body=broken', says: 'body= takes malformed.' },
    { text: 'throttle where', says: 'Nothing follows where.' },
    { text: 'throttle where modle:x', says: 'There is no field "modle" (at character 1).' },
    {
      text: 'throttle where status:4xx',
      says: 'status: is known when there is a response, and this fault lets none come.',
    },
    { text: `throttle where ${'a'.repeat(3000)}`, says: 'It has more than 2000 characters.' },
  ])('$text', ({ text, says, hint }) => {
    const found = parseFaultRule(text);
    expect(found).toMatchObject({ problem: says });
    expect(('problem' in found && found.hint) || '').toContain(hint ?? '');
  });

  it.each(['throttle p=0.5', 'throttle key=a', 'empty where op:x'])('for one request: %s', (text) => {
    expect(parseFaultRule(text)).not.toHaveProperty('problem');
    expect(parseOwnFault(text)).toMatchObject({ problem: expect.stringContaining('it is for this request') });
  });
});

it('reads any text without a throw', () => {
  const kinds = fc.constantFrom(...FAULT_KINDS);
  const words = fc.array(fc.stringMatching(/^[a-z=:.+0-9/]{0,12}$/)).map((list) => list.join(' '));
  fc.assert(fc.property(kinds, words, (kind, rest) => void parseFaultRule(kind + rest)));
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => void parseFaultRule(text)));
});
