import { describe, expect, it } from 'vitest';
import { parseTarget } from '../../src/http/target.ts';
import { refuseBadTarget, stripMount, stripQueryAuthentication } from '../../src/routing/target.ts';

describe('refuseBadTarget', () => {
  it.each([
    ['/model/x/invoke', '/model/x/invoke', undefined],
    ['/model/x/invoke?', '/model/x/invoke', ''],
    ['/a?b=1?c=2', '/a', 'b=1?c=2'],
    ['/model/arn%3aaws%3Abedrock%2Fx.y/invoke?q=%zz\\', '/model/arn%3aaws%3Abedrock%2Fx.y/invoke', 'q=%zz\\'],
    ['/..a/a../...', '/..a/a../...', undefined],
    ['/"<>^`{|}', '/"<>^`{|}', undefined],
  ])('leaves the target %s as it is', (rawTarget, path, query) => {
    const target = parseTarget(rawTarget);
    expect(target).toEqual({ raw: rawTarget, path, query });
    expect(() => refuseBadTarget(target)).not.toThrow();
  });

  it.each([
    ['a dot segment', '/bedrock/../x', 'dot segment'],
    ['a single dot', '/bedrock/./x', 'dot segment'],
    ['one at the end', '/bedrock/x/..', 'dot segment'],
    ['an encoded one', '/bedrock/%2e%2e/x', 'dot segment'],
    ['in capitals', '/bedrock/%2E%2E/x', 'dot segment'],
    ['half encoded', '/bedrock/.%2e/x', 'dot segment'],
    ['an encoded single dot', '/bedrock/%2E', 'dot segment'],
    ['between encoded slashes', '/model/arn%3Aa%2F..%2Fb/invoke', 'dot segment'],
    ['after an encoded slash, before a real one', '/model/a%2f%2e%2e/invoke', 'dot segment'],
    ['between encoded backslashes', '/model/a%5C..%5cb/invoke', 'dot segment'],
    ['with a path parameter', '/model/..;a=b/invoke', 'dot segment'],
    ['with an encoded path parameter', '/model/..%3ba/invoke', 'dot segment'],
    ['a backslash', '/bedrock/..\\model', 'backslash'],
    ['a lone backslash', '/model/a\\b/invoke', 'backslash'],
    ['a space', '/model/a b/invoke', 'printable'],
    ['a tab', '/model/a\tb/invoke', 'printable'],
    ['a line break', '/model/a\r\nX: y/invoke', 'printable'],
    ['a NUL', '/model/a\0/invoke', 'printable'],
    ['a DEL', '/model/a\u007f/invoke', 'printable'],
    ['a byte above ASCII', '/model/\u00e9/invoke', '0xe9'],
    ['an encoded line break', '/model/a%0d%0aX/invoke', 'control'],
    ['an encoded NUL', '/model/a%00/invoke', 'control'],
    ['a broken escape', '/model/a%2/invoke', 'percent'],
    ['an escape that is none', '/model/a%zz/invoke', 'percent'],
    ['a lone percent sign', '/model/a%', 'percent'],
    ['a fragment', '/model/a/invoke#x', '#'],
    ['a fragment in the query', '/model/a/invoke?a#x', 'query'],
    ['a space in the query', '/model/a/invoke?a b', 'query'],
    ['the absolute form', 'http://evil.test/bedrock/x', 'slash'],
    ['the authority form', 'localhost:4000', 'slash'],
    ['an asterisk', '*', 'slash'],
    ['nothing', '', 'slash'],
  ])('refuses a bad target: %s', (_, rawTarget, word) => {
    expect(() => refuseBadTarget(parseTarget(rawTarget))).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_TARGET', message: expect.stringContaining(word) }),
    );
  });
});

describe('stripMount', () => {
  it.each([
    ['/bedrock', '/bedrock', '/'],
    ['/bedrock/', '/bedrock', '/'],
    ['/bedrock//', '/bedrock', '/'],
    ['/bedrock/x', '/bedrock', '/x'],
    ['/bedrock//x//y/', '/bedrock', '/x//y/'],
    ['/bedrock////x', '/bedrock', '/x'],
    ['/bedrock/%2Fx', '/bedrock', '/%2Fx'],
    ['/a/b/x', '/a/b', '/x'],
    ['/x', '', '/x'],
    ['//x', '/', '/x'],
  ])('strips the mount of %s under %s to %s', (path, mount, expected) => {
    expect(stripMount(path, mount)).toBe(expected);
  });

  it.each(['/', '/bedrocks/x', '/Bedrock/x', '//bedrock/x', '/%62edrock/x', '/x/bedrock/y'])(
    'finds %s outside the mount',
    (path) => {
      expect(stripMount(path, '/bedrock')).toBeUndefined();
    },
  );
});

describe('stripQueryAuthentication', () => {
  const AUTHENTICATION =
    'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F1&X-Amz-Date=1&X-Amz-Expires=300&X-Amz-SignedHeaders=host';

  it.each([
    ['nothing', undefined, undefined],
    ['an empty query', '', ''],
    ['a query without any', 'a=1&&b=%2f+%zz&c', 'a=1&&b=%2f+%zz&c'],
    ['nothing but authentication', `${AUTHENTICATION}&X-Amz-Signature=ab&X-Amz-Security-Token=x%2F`, undefined],
    ['some between others', `b=2&${AUTHENTICATION}&a=%7e&&x=1`, 'b=2&a=%7e&&x=1'],
    ['lower case', 'x-amz-signature=1&a=b', 'a=b'],
    ['an encoded name', 'X%2DAmz%2dSignature=1&%58-amz-date=2&a=b', 'a=b'],
    ['a name without value', 'X-Amz-Security-Token&a=b', 'a=b'],
    [
      'AgentCore session ids',
      'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id=s&qualifier=DEFAULT',
      'X-Amzn-Bedrock-AgentCore-Runtime-Session-Id=s&qualifier=DEFAULT',
    ],
    ['a value that looks like one', 'a=X-Amz-Date', 'a=X-Amz-Date'],
  ])('strips authentication from a query: %s', (_, rawQuery, expected) => {
    expect(stripQueryAuthentication(rawQuery)).toBe(expected);
  });
});
