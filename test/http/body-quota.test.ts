/** What the bodies of a server hold in memory and on disk, all together, and how many are under way. */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { PassThrough, Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ClientRequest } from '../../src/http/message.ts';
import { type BodyLimits, readBody, releaseBody } from '../../src/http/body.ts';
import { BodyQuota, MAX_UPLOADS, SMALL_BODY_BYTES } from '../../src/http/body-quota.ts';
import { aClientRequest } from '../helpers/client-request.ts';
import { failureOf } from '../helpers/failure.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

function upload(mebibytes: number): ClientRequest {
  const pieces = Array.from({ length: mebibytes * 4 }, () => Buffer.alloc(MIB / 4, 'x'));
  return aClientRequest({ openBody: () => Readable.from(pieces, { objectMode: false }) });
}

/** A body that has begun and does not end. */
function open(
  sizeBytes: number,
  announced?: number,
): { request: ClientRequest; stream: PassThrough; isOpened: () => boolean } {
  const stream = new PassThrough({ highWaterMark: 16 * MIB });
  let opened = false;
  if (sizeBytes > 0) stream.write(Buffer.alloc(sizeBytes, 'y'));
  const openBody = (): Readable => {
    opened = true;
    return stream;
  };
  const headers = announced === undefined ? [] : [['content-length', String(announced)] as const];
  return { request: aClientRequest({ headers, openBody }), stream, isOpened: () => opened };
}

function limitsOf(
  quota: { memory?: number; disk?: number | (() => number) },
  maxSizeBytes = 100 * MIB,
): BodyLimits & { quota: BodyQuota } {
  const { memory = 100 * MIB, disk = 1024 * MIB } = quota;
  return {
    maxSizeBytes,
    idleTimeoutMs: 60_000,
    spoolDirectory: { folder: tmpdir(), newId: randomUUID },
    quota: new BodyQuota({ memoryBytes: memory, findDiskBytes: typeof disk === 'number' ? () => disk : disk }),
  };
}

const REFUSED = { code: 'ERR_TOO_MANY_UPLOADS', status: 429, retryAfterSeconds: 1 };

async function untilEmpty(quota: BodyQuota): Promise<void> {
  while (quota.diskUsedBytes + quota.memoryUsedBytes > 0) await setImmediate();
}

describe('memory', () => {
  it('counts the memory of bodies while they are held, and gives it back', async () => {
    const limits = limitsOf({});
    const bodies = await Promise.all([readBody(upload(3), limits, 'a'), readBody(upload(2), limits, 'b')]);
    expect(limits.quota.memoryUsedBytes).toBe(5 * MIB);
    for (const [index, body] of bodies.entries()) releaseBody(body, limits, 'ab'[index]);
    expect(limits.quota.memoryUsedBytes).toBe(0);
  });

  it('bounds the memory of bodies: further ones wait on disk, whole and with the same hash', async () => {
    const limits = limitsOf({ memory: 4 * MIB });
    const first = await readBody(upload(5), limits, 'a');
    const second = await readBody(upload(5), limits, 'b');
    expect([first.spool === undefined, second.spool === undefined]).toEqual([false, false]);
    expect(second.sha256).toBe((await readBody(upload(5), limitsOf({}))).sha256);
    expect([limits.quota.memoryUsedBytes, limits.quota.diskUsedBytes]).toEqual([0, 10 * MIB]);
    releaseBody(first, limits, 'a');
    releaseBody(second, limits, 'b');
    await untilEmpty(limits.quota);
  });

  it('gives back the memory of a body that is refused in its middle', async () => {
    const limits = limitsOf({}, 2 * MIB);
    expect(await failureOf(() => readBody(upload(3), limits))).toMatchObject({ code: 'ERR_BODY_TOO_LARGE' });
    expect(limits.quota.memoryUsedBytes).toBe(0);
  });

  it('keeps a body of up to 32 MiB there that said its size, if there is room for all of it', async () => {
    const limits = limitsOf({ memory: 64 * MIB });
    const keep = async (mebibytes: number, owner: string): Promise<Awaited<ReturnType<typeof readBody>>> => {
      const headers = [['content-length', String(mebibytes * MIB)]] as const;
      return readBody({ ...upload(mebibytes), headers }, limits, owner);
    };
    const bodies = [await keep(32, 'a'), await keep(33, 'b'), await keep(33, 'a'), await keep(31, 'b')];
    expect(bodies.map(({ spool }) => spool === undefined)).toEqual([true, false, false, true]);
    const late = await keep(20, 'c');
    expect([late.spool === undefined, limits.quota.memoryUsedBytes]).toEqual([false, 63 * MIB]);
    for (const [index, body] of [...bodies, late].entries()) releaseBody(body, limits, 'ababc'[index]);
    await untilEmpty(limits.quota);
  });

  it('keeps no more than a small part of each body in memory that is full', async () => {
    const limits = limitsOf({ memory: MIB });
    const held = await readBody(upload(1), limits, 'a');
    const under = Array.from({ length: 100 }, () => open(300 * KIB));
    const reading = under.map(({ request }) => readBody(request, limits, 'b').catch(() => {}));
    while (limits.quota.diskUsedBytes < 100 * 300 * KIB) await setImmediate();
    expect(limits.quota.memoryUsedBytes).toBeLessThanOrEqual(MIB + 100 * SMALL_BODY_BYTES);
    for (const { stream } of under) stream.destroy();
    await Promise.all(reading);
    releaseBody(held, limits, 'a');
    await untilEmpty(limits.quota);
  });

  it('refuses small bodies of whoever holds more than is left for all others, unread, and nobody else', async () => {
    const limits = limitsOf({ memory: MIB });
    const under = Array.from({ length: 16 }, () => open(SMALL_BODY_BYTES));
    const reading = under.map(({ request }) => readBody(request, limits, 'hog').catch(() => {}));
    while (limits.quota.memoryUsedBytes < MIB) await setImmediate();
    const refused = open(0, SMALL_BODY_BYTES);
    expect(await failureOf(() => readBody(refused.request, limits, 'hog'))).toMatchObject(REFUSED);
    expect(refused.isOpened()).toBe(false);
    const other = await readBody(aClientRequest({ openBody: () => Readable.from(['{}']) }), limits, 'other');
    expect(other.sizeBytes).toBe(2);
    for (const { stream } of under) stream.destroy();
    await Promise.all(reading);
    releaseBody(other, limits, 'other');
    expect(limits.quota.memoryUsedBytes).toBe(0);
  });
});

describe('disk', () => {
  it('refuses a large body whose owner has taken its share, unread', async () => {
    const limits = limitsOf({ disk: 128 * MIB });
    const first = open(MIB, 80 * MIB);
    const reading = readBody(first.request, limits, 'a').catch(() => {});
    const second = open(0, 33 * MIB);
    expect(await failureOf(() => readBody(second.request, limits, 'a'))).toMatchObject(REFUSED);
    expect(second.isOpened()).toBe(false);
    const others = await readBody(upload(20), limits, 'b');
    first.stream.destroy();
    await reading;
    releaseBody(others, limits, 'b');
    await untilEmpty(limits.quota);
  });

  it('refuses a body in its middle that did not say how large it is', async () => {
    const limits = limitsOf({ disk: 32 * MIB });
    const first = await readBody(upload(12), limits, 'a');
    expect(await failureOf(() => readBody(upload(12), limits, 'a'))).toMatchObject(REFUSED);
    releaseBody(first, limits, 'a');
    await untilEmpty(limits.quota);
  });

  it('says of a body that never fits that there is no room, which nobody tries again', async () => {
    const limits = limitsOf({ disk: 16 * MIB });
    const body = open(0, 33 * MIB);
    expect(await failureOf(() => readBody(body.request, limits, 'a'))).toMatchObject({
      code: 'ERR_SPOOL',
      status: 507,
    });
    expect(body.isOpened()).toBe(false);
  });

  it('counts with what is free by now, as soon as nothing of ours is there', async () => {
    let free = 16 * MIB;
    const limits = limitsOf({ disk: () => free });
    expect(await failureOf(() => readBody(open(0, 33 * MIB).request, limits, 'a'))).toMatchObject({
      code: 'ERR_SPOOL',
    });
    free = 64 * MIB;
    await untilEmpty(limits.quota);
    const body = await readBody(upload(20), limits, 'a');
    // What we hold ourselves is not free, and takes nothing of what we may hold.
    free = 0;
    const small = await readBody(upload(9), limits, 'b');
    releaseBody(body, limits, 'a');
    releaseBody(small, limits, 'b');
    await untilEmpty(limits.quota);
    expect(await failureOf(() => readBody(upload(9), limits, 'b'))).toMatchObject({ code: 'ERR_SPOOL', status: 507 });
  });

  it('gives back what was announced and did not come', async () => {
    const limits = limitsOf({});
    const body = open(MIB, 33 * MIB);
    body.stream.end();
    const read = await readBody(body.request, limits, 'a');
    expect(limits.quota.diskUsedBytes).toBe(MIB);
    releaseBody(read, limits, 'a');
    await untilEmpty(limits.quota);
  });
});

it('takes so many large bodies of one owner at once, announced or not, and small ones beside them', async () => {
  const limits = limitsOf({ memory: 1024 * MIB });
  const under = Array.from({ length: MAX_UPLOADS }, (_, index) =>
    index % 2 === 0 ? open(1, SMALL_BODY_BYTES + 1) : open(SMALL_BODY_BYTES + 1),
  );
  const reading = under.map(({ request }) => readBody(request, limits, 'a').catch(() => {}));
  for (let turn = 0; turn < 5; turn += 1) await setImmediate();
  const announced = open(0, SMALL_BODY_BYTES + 1);
  expect(await failureOf(() => readBody(announced.request, limits, 'a'))).toMatchObject(REFUSED);
  expect(await failureOf(() => readBody(upload(1), limits, 'a'))).toMatchObject(REFUSED);
  for (const owner of ['a', 'b']) {
    const request = owner === 'a' ? aClientRequest({ openBody: () => Readable.from(['{}']) }) : upload(1);
    releaseBody(await readBody(request, limits, owner), limits, owner);
  }
  for (const { stream } of under) stream.destroy();
  await Promise.all(reading);
  releaseBody(await readBody(upload(1), limits, 'a'), limits, 'a');
  expect(limits.quota.memoryUsedBytes).toBe(0);
});
