import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { buildPage } from '../../scripts/build-page.mjs';

const BUILT = fileURLToPath(new URL('../../page/built', import.meta.url));
const read = (name: string): string => readFileSync(`${BUILT}/${name}`, 'utf8');

describe('the built page', () => {
  it('is what its sources give: else run `npm run generate:page`', async () => {
    const built = await buildPage();
    const names = globSync('**/*.*', { cwd: BUILT }).map((name) => name.replaceAll('\\', '/'));
    expect(names.toSorted()).toEqual([...built.keys()].toSorted());
    for (const [name, text] of built) expect(read(name) === text, name).toBe(true);
  });

  it('has no script, no style and no address of its own in its markup', () => {
    const html = read('index.html');
    expect(html).not.toMatch(/<style|\sstyle=|\son\w+=|https?:/i);
    expect(html.match(/<script[^>]*>/g)).toEqual(['<script type="module" src="./assets/page.js">']);
  });

  it('keeps the notices that the licences of its libraries ask for', () => {
    const [notice = ''] = read('assets/page.js').split('*/');
    for (const name of ['preact', '@preact/signals', '@preact/signals-core', 'diff']) {
      expect(notice).toContain(`\n${name}\n`.trim());
    }
    expect(notice).toContain('Copyright (c) 2015-present Jason Miller');
  });

  it('writes text, and never HTML', () => {
    expect(read('assets/page.js')).not.toMatch(/dangerouslySetInnerHTML:|\beval\(|new Function\(|document\.write/);
  });
});
