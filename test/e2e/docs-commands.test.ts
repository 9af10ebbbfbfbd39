/**
 * @module-tag slow
 *
 * The commands of README and docs that stay, or that hand over to another program: each `start` comes up, wherever it
 * stands (a shell block, a unit, a plist, a task), `env`, `exec`, `doctor` and `credential-process` end well, and the
 * transcripts show what is really said. A program that a machine need not have, or that would take long (Claude Code,
 * `npm test`), has a stand-in that says which proxy it was given.
 */
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { launchServer, openWorkplace, run, type Workplace } from '../helpers/program.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LAUNCHER = join(ROOT, 'bin/bedrock-proxy.js');
const BLOCKS = ['README.md', ...globSync('docs/*.md', { cwd: ROOT })].flatMap((path) =>
  [...readFileSync(join(ROOT, path), 'utf8').matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map(
    ([, language = '', code = '']) => ({ path, language, code: code.replaceAll('\\\n', ' ') }),
  ),
);
/**
 * The help of commands is compared elsewhere; what it says of `start` need not run. The session has a test of its own.
 */
const WRITTEN = BLOCKS.filter(({ path }) => !['docs/cli.md', 'docs/first-ten-minutes.md'].includes(path));
const SHELL = WRITTEN.filter(({ language }) => language === 'sh');

/** The commands that `pattern` finds in the code of all blocks, each once. */
function findAll(blocks: readonly { readonly code: string }[], pattern: RegExp): string[] {
  return [...new Set(blocks.flatMap(({ code }) => [...code.matchAll(pattern)].map(([, words = '']) => words.trim())))];
}

/** `start` and its arguments: on a line, as strings of a plist, or as arguments of a task. */
const STARTS = findAll(
  WRITTEN.map(({ code }) => ({
    code: code
      .replaceAll(/<\/string>\s*<string>/g, ' ')
      .replaceAll(/bedrock-proxy\.cmd" -Argument "/g, 'bedrock-proxy '),
  })),
  /bedrock-proxy (start(?:[ \t]+(?:'[^'\n]*'|[\w./=,:-]+))*)/g,
);
const OTHERS = findAll(SHELL, /npx bedrock-proxy ((?:doctor|env)\b[^#|\n)"]*)/g);
const EXECS = findAll(SHELL, /npx bedrock-proxy (exec [^#\n]*)/g);
const PROCESSES = findAll(WRITTEN, /^credential_process = bedrock-proxy (.*)$/gm);
const TRANSCRIPTS = WRITTEN.filter(({ language }) => language === 'console').flatMap(({ code }) =>
  [...code.matchAll(/^\$ npx bedrock-proxy (.*)\n((?:(?!\$ ).*\n)*)/gm)].map(([, words = '', shown = '']) => ({
    words,
    shown,
  })),
);

/** The words of a command line; quotes keep one together. */
function split(words: string): string[] {
  return [...words.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

/** Files that a page shows under their names: `As \`NAME.json\`. …`, and the block that follows. */
const FILES = ['docs/upstreams.md'].flatMap((path) => [
  ...readFileSync(join(ROOT, path), 'utf8').matchAll(/^As `([\w-]+\.json)`[^]*?^```json\n([^]*?)^```$/gm),
]);

/** A home with the profiles and files that the docs name, and the key that they call alice. */
async function openHome(): Promise<Workplace> {
  const place = await openWorkplace();
  const profiles = ['dev', 'main', 'second'].map(
    (name) =>
      `[profile ${name}]\nregion = us-east-1\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n`,
  );
  await writeFile(place.environment['AWS_CONFIG_FILE'] ?? '', profiles.join('\n'));
  for (const [, name = '', code = ''] of FILES) await writeFile(join(place.folder, name), code);
  const { code } = await run(['key', 'generate', '--alias', 'alice'], place.environment);
  expect(code).toBe(0);
  return place;
}

describe('the docs', () => {
  it('finds commands in the docs', () => {
    for (const found of [STARTS, OTHERS, EXECS, PROCESSES, TRANSCRIPTS]) expect(found.length).toBeGreaterThan(0);
    for (const language of ['ini', 'xml', 'powershell']) {
      const blocks = WRITTEN.filter((block) => block.language === language);
      expect(blocks.filter(({ code }) => !code.includes('bedrock-proxy'))).toEqual([]);
    }
  });

  it.each(STARTS)('starts the program as the docs do: %s', async (words) => {
    await using place = await openHome();
    // The banner tells that it listens.
    // Not every machine has Docker's bridge. In the background it would outlive the test.
    const left = new Set(['start', '--quiet', '--background']);
    const here = words.replace(' --host 172.17.0.1', '').replace(/[\w-]+\.json/, (name) => join(place.folder, name));
    const flags = split(here).filter((word) => !left.has(word));
    await using server = await launchServer([...flags, '--port', '0'], place.environment);
    expect(server.port).toBeGreaterThan(0);
  });

  it.each([...OTHERS, ...PROCESSES])('ends a command of the docs well: %s', async (words) => {
    await using place = await openHome();
    // Nothing here has an account.
    const more = words.startsWith('doctor') ? ['--offline', '--port', '1'] : [];
    const { code, stderr } = await run([...split(words), ...more], place.environment);
    expect([code, stderr]).toEqual([0, expect.not.stringMatching(/^error:/m)]);
  });

  it.skipIf(process.platform === 'win32').each(EXECS)(
    'runs a command of the docs with a proxy and a key: %s',
    async (words) => {
      await using place = await openHome();
      const folder = join(place.folder, 'bin');
      await mkdir(folder);
      const standIn = join(folder, / -- (\w+)/.exec(words)?.[1] ?? 'claude');
      const [url, key] = [
        'ANTHROPIC_BEDROCK_BASE_URL:-$AWS_ENDPOINT_URL_BEDROCK_RUNTIME',
        'AWS_BEARER_TOKEN_BEDROCK:-$AWS_SECRET_ACCESS_KEY',
      ];
      await writeFile(standIn, `#!/bin/sh\necho "\${${url}} \${${key}}"\n`);
      await chmod(standIn, 0o755);
      const here = words
        .replace('script.json', join(ROOT, 'examples/pytest/script.json'))
        .replace('cassettes/', join(place.folder, 'cassettes/'));
      const PATH = `${folder}:${place.environment['PATH'] ?? ''}`;
      const offline = here.includes('--offline') ? here : here.replace('exec ', 'exec --offline ');
      const { code, stdout } = await run(split(offline), { ...place.environment, PATH });
      expect([code, stdout]).toEqual([0, expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/bedrock sk-/)]);
    },
  );

  it.each(TRANSCRIPTS)('prints what a transcript of the docs shows: $words', async ({ words, shown }) => {
    await using place = await openWorkplace();
    const pattern = shown
      .trim()
      .split('...')
      .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll(/\s+/g, String.raw`\s+`))
      .join('[^]*?')
      .replaceAll(':4000', String.raw`:\d+`);
    expect(await say(split(words), place)).toMatch(new RegExp(`^${pattern}`));
  });
});

/** All that a command prints; of `start`, until it listens. */
async function say(words: readonly string[], { environment }: Workplace): Promise<string> {
  if (words[0] === 'start') {
    await using server = await launchServer(words.slice(1), environment);
    return await server.untilStderr('boto3.client');
  }
  return await new Promise((resolve) => {
    execFile(process.execPath, [LAUNCHER, ...words], { env: environment }, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
}
