import { expect, it } from 'vitest';
import { packChunks, unpackChunks } from '../../src/inspector/stored-body.ts';

it.each([
  { name: 'none', chunks: [] },
  { name: 'one of no bytes', chunks: [{ offset: 0, sizeBytes: 0, atMs: 0 }] },
  {
    name: 'some, with a hole between them',
    chunks: [
      { offset: 0, sizeBytes: 118, atMs: 611.203 },
      { offset: 118, sizeBytes: 65_536, atMs: 611.204 },
      { offset: 9_000_000_000, sizeBytes: 1, atMs: 3_600_000.5 },
    ],
  },
])('packs chunks so that they are read again: $name', ({ chunks }) => {
  expect(unpackChunks(packChunks(chunks))).toEqual(chunks);
});

it('packs most chunks into five bytes or fewer', () => {
  const chunks = Array.from({ length: 100 }, (_, index) => ({ offset: index * 150, sizeBytes: 150, atMs: index * 30 }));
  expect(packChunks(chunks).length).toBeLessThan(600);
});
