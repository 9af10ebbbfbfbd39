import { afterEach, describe, expect, it, vi } from 'vitest';
import { colorsFor, exitCodeOf, formatFields, formatTable, printError } from '../../src/app/print.ts';
import { ERROR_KINDS, type ErrorCode, ProxyError } from '../../src/lib/errors.ts';

describe('formatTable', () => {
  it('makes each column as wide as its widest cell, and leaves no blanks at the ends of lines', () => {
    const rows = [
      ['vk_1', 'a', 'x'],
      ['v', 'a long one', ''],
    ];
    expect(formatTable(['id', 'alias', 'last used'], rows)).toBe(
      ['ID    ALIAS       LAST USED', 'vk_1  a           x', 'v     a long one'].join('\n'),
    );
  });

  it('prints a line of titles for a table without rows', () => {
    expect(formatTable(['id', 'alias'], [])).toBe('ID  ALIAS');
  });
});

describe('formatFields', () => {
  it('aligns the values of fields', () => {
    expect(
      formatFields([
        ['key', '1'],
        ['access_key_id', '2'],
      ]),
    ).toBe('key            1\naccess_key_id  2');
  });
});

describe('exit codes', () => {
  it.each(Object.keys(ERROR_KINDS) as ErrorCode[])('has an exit code for %s', (code) => {
    const isMisuse = ['ERR_BAD_OPTION', 'ERR_ADDRESS_IN_USE', 'ERR_STORE_UNAVAILABLE'].includes(code);
    expect(exitCodeOf(new ProxyError(code, 'm'))).toBe(isMisuse ? 2 : 1);
  });
});

describe('printError', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('prints nothing on which a terminal would act, whoever chose it', () => {
    let printed = '';
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
    const evil = 'a\u001b[2Jb\u202ec\u009bd';
    const error = new ProxyError('ERR_BAD_REQUEST', `No ${evil}.`, { hint: `First.\nThen ${evil}.`, detail: evil });
    printError(error, false);
    const shown = 'a?[2Jb?c?d';
    expect(printed).toBe(`error: No ${shown}. [${shown}]\nhint: First.\nThen ${shown}.\n`);
  });
});

describe('colours', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it.each([
    { name: 'a terminal', isTTY: true, env: {}, coloured: true },
    { name: 'a terminal with an empty NO_COLOR', isTTY: true, env: { NO_COLOR: '' }, coloured: true },
    { name: 'a terminal with NO_COLOR', isTTY: true, env: { NO_COLOR: '1' }, coloured: false },
    { name: 'a dumb terminal', isTTY: true, env: { TERM: 'dumb' }, coloured: false },
    { name: 'a pipe', isTTY: false, env: {}, coloured: false },
    { name: 'a pipe with FORCE_COLOR', isTTY: false, env: { FORCE_COLOR: '1' }, coloured: false },
  ])('colours output on $name: $coloured', ({ isTTY, env, coloured }) => {
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('TERM', 'xterm-256color');
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    const paint = colorsFor({ isTTY } as NodeJS.WriteStream);
    // What a terminal can show is chalk's own finding; without one to look at, only the level of zero is ours.
    if (coloured) expect(paint.level).toBe(colorsFor({ isTTY: true } as NodeJS.WriteStream).level);
    else expect(paint.red('x')).toBe('x');
  });
});
