import { describe, expect, it } from 'vitest';
import { AdminError, readField, quoteKeyName } from '../../src/admin/envelope.ts';
import { ProxyError } from '../../src/lib/errors.ts';

const KEY = 'sk-abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE';

const refuse = (): never => {
  throw new ProxyError('ERR_BAD_REQUEST', 'x must be y.', { hint: 'Say y.' });
};

describe('the name of a key in a message', () => {
  it.each([
    { named: KEY, shown: 'sk-...BCDE' },
    { named: 'sk-short', shown: 'sk-...' },
    { named: 'ab'.repeat(32), shown: 'abababab...' },
    { named: 'vk_aaaaaaaaaaaaaaaa', shown: '"vk_aaaaaaaaaaaaaaaa"' },
    { named: 'a"b\n', shown: '"a\\"b\\n"' },
    { named: 'x'.repeat(200), shown: `"${'x'.repeat(100)}"` },
  ])('shows $named in a message as $shown', ({ named, shown }) => {
    expect(quoteKeyName(named)).toBe(shown);
  });
});

describe('a refusal of a value', () => {
  it('names the field of a refused value', () => {
    expect(() => readField('x', refuse)).toThrow(expect.objectContaining({ message: 'x must be y.', param: 'x' }));
  });

  it('keeps a refusal as it is if it names its field, or is no refusal of a value', () => {
    for (const error of [new AdminError('no', { param: 'y' }), new TypeError('a defect')]) {
      expect(() =>
        readField('x', () => {
          throw error;
        }),
      ).toThrow(error);
    }
  });
});
