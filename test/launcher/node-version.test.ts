import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NODE_FLOOR, canSetItselfUp, lineForOldNode } from '../../bin/node-version.js';
import { NODE_HASHES, NODE_PACKAGES } from '../../scripts/node-packages.mjs';

describe('lineForOldNode', () => {
  it.each(['v22.19.0', 'v22.23.3', 'v23.0.0', 'v24.21.0', 'v26.0.0', 'v100.1.0', 'v24.0.0-nightly2026'])(
    'has nothing to say to Node %s',
    (version) => {
      expect(lineForOldNode(version)).toBeUndefined();
    },
  );

  it.each(['v22.18.9', 'v22.2.0', 'v20.20.2', 'v21.99.0', 'v9.11.2', 'v0.12.18'])(
    'says to Node %s in one line which Node to install',
    (version) => {
      expect(lineForOldNode(version)).toBe(
        `needs Node.js 22.19 or newer, and this is ${version}: install Node 24 from https://nodejs.org`,
      );
    },
  );

  it('draws the line between Nodes where "engines" in package.json draws it', () => {
    const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } };
    expect(engines.node).toBe(`>=${NODE_FLOOR.join('.')}.0`);
  });
});

it.each([
  { version: 'v16.20.2', can: false },
  { version: 'v18.0.0', can: true },
  { version: 'v20.20.2', can: true },
])('lets a checkout set itself up under $version: $can', ({ version, can }) => {
  expect(canSetItselfUp(version)).toBe(can);
});

describe('the pinned Nodes', () => {
  it.each(Object.entries(NODE_PACKAGES))(
    'pins exact, hashed and new enough Nodes for %s',
    (_platform, { name, usual }) => {
      const pinned = Object.entries(NODE_HASHES).filter(([spec]) => spec.startsWith(`${name}@`));
      const versions = pinned.map(([spec]) => spec.slice(name.length + 1));
      const majors = versions.map((version) => version.split('.')[0]);
      expect(majors).toContain(String(usual));
      expect(new Set(majors).size).toBe(majors.length);
      for (const version of versions) {
        expect(version).toMatch(/^\d+\.\d+\.\d+$/);
        expect(lineForOldNode(`v${version}`)).toBeUndefined();
      }
      for (const [, integrity] of pinned)
        expect(Buffer.from(integrity.replace(/^sha512-/, ''), 'base64')).toHaveLength(64);
    },
  );
});
