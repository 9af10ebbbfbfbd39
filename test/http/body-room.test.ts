/** What bodies may hold, by made-up readings of machines and containers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findBodyDisk, findBodyMemory, readDisk, shareDisk } from '../../src/http/body-room.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const MACHINE = { containerBytes: 0, machineBytes: 16 * GIB };

describe('memory', () => {
  it.each([
    ['a machine without a container', 0, 16 * GIB, 256 * MIB],
    ['a container whose limit is "max"', 2 ** 64, 16 * GIB, 256 * MIB],
    ['a container with plenty', 4 * GIB, 16 * GIB, 256 * MIB],
    ['a container at the border', 2 * GIB, 16 * GIB, 256 * MIB],
    ['a container of 96 MiB', 96 * MIB, 16 * GIB, 12 * MIB],
    ['a small machine', 0, 512 * MIB, 64 * MIB],
    ['a container that may have more than its small machine has', 8 * GIB, 512 * MIB, 64 * MIB],
  ])('of %s: an eighth, 256 MiB at most', (_what, containerBytes, machineBytes, expected) => {
    expect(findBodyMemory({ containerBytes, machineBytes })).toBe(expected);
  });
});

describe('disk', () => {
  const small = { containerBytes: 96 * MIB, machineBytes: 16 * GIB };
  it.each([
    ['an empty disk', { freeBytes: 500 * GIB, isMemory: false }, MACHINE, 4 * GIB],
    ['a disk with little left', { freeBytes: 100 * MIB, isMemory: false }, MACHINE, 75 * MIB],
    ['a full disk', { freeBytes: 0, isMemory: false }, MACHINE, 0],
    ['a disk that cannot be asked', undefined, MACHINE, 4 * GIB],
    ['a disk beside little memory', { freeBytes: 500 * GIB, isMemory: false }, small, 4 * GIB],
    ['files in memory', { freeBytes: 8 * GIB, isMemory: true }, MACHINE, 4 * GIB],
    ['files in the memory of a container', { freeBytes: 8 * GIB, isMemory: true }, small, 24 * MIB],
    ['files in little memory', { freeBytes: 8 * MIB, isMemory: true }, small, 6 * MIB],
  ])('of %s', (_what, disk, memory, expected) => {
    expect(findBodyDisk(disk, memory)).toBe(expected);
  });

  it('is read from the folder itself', () => {
    const folder = mkdtempSync(join(tmpdir(), 'room-'));
    expect(readDisk(folder)?.freeBytes).toBeGreaterThan(MIB);
    rmSync(folder, { recursive: true });
    expect(readDisk(folder)).toBeUndefined();
  });

  it.runIf(process.platform === 'linux')('knows files in memory', () => {
    expect(readDisk('/dev/shm')?.isMemory).toBe(true);
  });
});

it('gives each of several processes its part of a disk that can be asked', () => {
  expect(shareDisk({ freeBytes: 12 * GIB, isMemory: true }, 4)).toEqual({ freeBytes: 3 * GIB, isMemory: true });
  expect(shareDisk(undefined, 4)).toBeUndefined();
});
