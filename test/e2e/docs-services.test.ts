/**
 * What docs/operate.md gives to systemd, launchd and Task Scheduler: read by their own programs where these are there,
 * and the options in it by ours.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/main.ts';
import { findPython } from '../helpers/python.ts';
import { makeTemporaryFolder } from '../helpers/temporary-folder.ts';

const PAGE = readFileSync(new URL('../../docs/operate.md', import.meta.url), 'utf8');

function block(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\``, 'm').exec(PAGE)?.[1];
  if (found === undefined) throw new Error(`no block in ${language}`);
  return found;
}

/** Those that commander does not know, of a command line without the program. */
function unknownWords([command = '', ...words]: readonly string[]): readonly string[] {
  const known = buildProgram().commands.find((each) => each.name() === command);
  if (known === undefined) return [command];
  return known.parseOptions([...words]).unknown;
}

const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
const python = findPython('plistlib');

describe('the services of docs/operate.md', () => {
  it('start the proxy by options that it has, in systemd and Task Scheduler', () => {
    const [, ofSystemd = ''] = /^ExecStart=\/usr\/bin\/env bedrock-proxy (.*)$/m.exec(block('ini')) ?? [];
    const [, ofScheduler = ''] = /-Execute "bedrock-proxy\.cmd" -Argument "(.*?)"/.exec(block('powershell')) ?? [];
    for (const line of [ofSystemd, ofScheduler]) {
      expect(line).toMatch(/^start /);
      expect(unknownWords(line.split(' '))).toEqual([]);
    }
  });

  it.skipIf(!hasSystemd)('have a unit that systemd takes', async () => {
    const file = join(await makeTemporaryFolder(), 'bedrock-proxy.service');
    await writeFile(file, block('ini'));
    const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--user', file], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes(file))).toEqual([]);
  });

  it.skipIf(python === undefined)('have a property list that is one, with options that the proxy has', () => {
    const read = 'import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))';
    const text = execFileSync(python ?? '', ['-c', read], { input: block('xml'), encoding: 'utf8' });
    const list = JSON.parse(text) as { readonly Label: string; readonly ProgramArguments: readonly string[] };
    expect(list.Label).toBe('bedrock-proxy');
    expect(unknownWords(list.ProgramArguments.slice(1))).toEqual([]);
  });
});
