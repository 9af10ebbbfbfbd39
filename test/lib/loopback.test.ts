import { describe, expect, it } from 'vitest';
import { isLoopbackAddress, isLoopbackName } from '../../src/lib/loopback.ts';

describe('isLoopbackAddress', () => {
  it.each([
    '127.0.0.1',
    '127.0.0.53',
    '127.255.255.254',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::1%lo',
  ])('takes the address %s for loopback', (address) => {
    expect(isLoopbackAddress(address)).toBe(true);
  });

  it.each([
    '128.0.0.1',
    '126.255.255.255',
    '10.0.0.1',
    '0.0.0.0',
    '::',
    '::2',
    '::ffff:10.0.0.1',
    '2001:db8::1',
    'fe80::1%eth0',
    'localhost',
    '127.1',
    '127.0.0.1:4000',
    '[::1]',
    '',
  ])('does not take the address "%s" for loopback', (address) => {
    expect(isLoopbackAddress(address)).toBe(false);
  });
});

describe('isLoopbackName', () => {
  it.each(['localhost', 'LocalHost', 'bedrock.localhost', 'a.b.LOCALHOST', '127.0.0.1', '::1'])(
    'takes the name %s for loopback',
    (name) => {
      expect(isLoopbackName(name)).toBe(true);
    },
  );

  it.each(['localhost.evil.example', 'notlocalhost', 'xlocalhost', 'example.com', '127.0.0.1.nip.io', '0.0.0.0', ''])(
    'does not take the name "%s" for loopback',
    (name) => {
      expect(isLoopbackName(name)).toBe(false);
    },
  );
});
