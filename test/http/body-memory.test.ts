/** What the bodies of a server hold in memory, all together. */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import type { ClientRequest } from '../../src/http/message.ts';
import { BodyMemory, readBody, releaseBody } from '../../src/http/body.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { failureOf } from '../helpers/failure.ts';

const MIB = 1024 * 1024;

function upload(mebibytes: number): ClientRequest {
  const pieces = Array.from({ length: mebibytes * 4 }, () => Buffer.alloc(MIB / 4, 'x'));
  return aClientRequest({ openBody: () => Readable.from(pieces, { objectMode: false }) });
}

function limitsOf(memory: BodyMemory, maxSizeBytes = 100 * MIB) {
  return { maxSizeBytes, idleTimeoutMs: 60_000, spoolDirectory: { folder: tmpdir(), newId: randomUUID }, memory };
}

it('counts the memory of bodies while they are held, and gives it back', async () => {
  const limits = limitsOf(new BodyMemory(100 * MIB));
  const bodies = await Promise.all([readBody(upload(3), limits), readBody(upload(2), limits)]);
  expect(limits.memory.usedBytes).toBe(5 * MIB);
  for (const body of bodies) releaseBody(body, limits);
  expect(limits.memory.usedBytes).toBe(0);
});

it('bounds the memory of bodies: further ones wait on disk, whole and with the same hash', async () => {
  const limits = limitsOf(new BodyMemory(4 * MIB));
  const first = await readBody(upload(5), limits);
  const second = await readBody(upload(5), limits);
  expect([first.spool === undefined, second.spool === undefined]).toEqual([false, false]);
  expect(second.sha256).toBe((await readBody(upload(5), { ...limits, memory: new BodyMemory(100 * MIB) })).sha256);
  expect(limits.memory.usedBytes).toBe(0);
  for (const body of [first, second]) releaseBody(body, limits);
  expect(limits.memory.usedBytes).toBe(0);
});

it('gives back the memory of a body that is refused in its middle', async () => {
  const limits = limitsOf(new BodyMemory(100 * MIB), 2 * MIB);
  expect(await failureOf(() => readBody(upload(3), limits))).toMatchObject({ code: 'ERR_BODY_TOO_LARGE' });
  expect(limits.memory.usedBytes).toBe(0);
});
