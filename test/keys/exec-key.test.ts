import { locateFile } from '../../src/config/database-location.ts';
import { describe, expect, it } from 'vitest';
import {
  execAlias,
  findStaleKeys,
  isExecKey,
  nameCommand,
  type ProcessSpace,
  revokeStaleKeys,
  thisProcessSpace,
} from '../../src/keys/exec-key.ts';
import { withStore } from '../../src/app/open-store.ts';
import { parseAlias } from '../../src/keys/mint.ts';
import type { VirtualKeyRow } from '../../src/domain/key.ts';
import { openCli } from '../helpers/cli.ts';
import { aKeyRow } from '../helpers/store-rows.ts';

const NOW_MS = Date.UTC(2026, 0, 31);
const HOUR_MS = 3_600_000;
const LIVING = 100;
const SPACE: ProcessSpace = {
  tag: 'aaaaaaaa',
  bootedAtMs: NOW_MS - 48 * HOUR_MS,
  isAlive: (pid) => pid === LIVING,
};

function row(alias: string | undefined, ageMs = HOUR_MS, revokedAtMs?: number): VirtualKeyRow {
  return {
    id: 'vk_1',
    alias,
    keySha256: '',
    lastFour: 'abcd',
    accessKeyId: 'BRPX',
    sealedKey: Buffer.alloc(0),
    createdAtMs: NOW_MS - ageMs,
    lastUsedAtMs: undefined,
    revokedAtMs,
  } as VirtualKeyRow;
}

describe('findStaleKeys', () => {
  it.each([
    { name: 'its exec is gone', key: row('exec-7-aaaaaaaa-01234567'), isStale: true },
    { name: 'its exec lives', key: row(`exec-${LIVING}-aaaaaaaa-01234567`), isStale: false },
    {
      name: 'the machine has restarted since',
      key: row(`exec-${LIVING}-aaaaaaaa-01234567`, 72 * HOUR_MS),
      isStale: true,
    },
    { name: 'it is of another machine', key: row('exec-7-bbbbbbbb-01234567'), isStale: false },
    {
      name: 'it is of another machine and a week old',
      key: row('exec-7-bbbbbbbb-01234567', 169 * HOUR_MS),
      isStale: true,
    },
    { name: 'it was revoked', key: row('exec-7-aaaaaaaa-01234567', HOUR_MS, NOW_MS), isStale: false },
    { name: 'its command has a name', key: row('exec-claude-code-7-aaaaaaaa-01234567'), isStale: true },
    { name: 'a person named it', key: row('exec-7'), isStale: false },
    { name: 'it has no name', key: row(undefined), isStale: false },
  ])('finds a stale key if $name: $isStale', ({ key, isStale }) => {
    expect(findStaleKeys([key], SPACE, NOW_MS)).toEqual(isStale ? [key] : []);
  });
});

describe('revokeStaleKeys', () => {
  it('revokes in the database the stale keys, and nothing else', async () => {
    const aliases = [
      'exec-7-aaaaaaaa-01234567',
      `exec-${LIVING}-aaaaaaaa-01234567`,
      'exec-7',
      'exec',
      'alice',
      undefined,
      'exec-8-aaaaaaaa-01234567',
    ];
    const revoked = await withStore(locateFile((await openCli()).databasePath), async (store) => {
      const createdAtMs = NOW_MS - HOUR_MS;
      for (const alias of aliases) await store.insertKey(aKeyRow({ alias, createdAtMs }));
      await revokeStaleKeys(store, SPACE, NOW_MS);
      return (await store.listKeys()).filter(({ revokedAtMs }) => revokedAtMs === NOW_MS);
    });
    expect(revoked.map(({ alias }) => alias)).toEqual(['exec-7-aaaaaaaa-01234567', 'exec-8-aaaaaaaa-01234567']);
  });
});

describe('execAlias', () => {
  it('makes an alias for exec that the store takes and that says whose key it is', () => {
    const space = thisProcessSpace(Date.now());
    const alias = execAlias({ command: 'claude', pid: process.pid, space }, (size) => Buffer.alloc(size, 0xab));
    expect(alias).toBe(`exec-claude-${process.pid}-${space.tag}-abababab`);
    expect(parseAlias(alias, 'alias', 'ERR_BAD_REQUEST')).toBe(alias);
    expect(isExecKey({ alias })).toBe(true);
  });
});

describe('nameCommand', () => {
  it.each([
    ['claude', 'claude'],
    ['/usr/local/bin/node', 'node'],
    ['C:\\\\Tools\\\\My App.cmd', 'My_App'],
    ['', 'command'],
    ['東京', '__'],
  ])('calls %j %j', (program, name) => {
    expect(nameCommand(program)).toBe(name);
  });
});

describe('thisProcessSpace', () => {
  it('sees this process alive', () => {
    expect(thisProcessSpace(Date.now()).isAlive(process.pid)).toBe(true);
  });
});
