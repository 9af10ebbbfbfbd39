/**
 * The sample projects of examples/ whose tests need no AWS account: their own tests, run in a copy of them that has the
 * packages it names, as `npm install` would put them there.
 * @module-tag slow
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { openWorkplace, type Workplace } from '../helpers/program.ts';
import { findPython } from '../helpers/python.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LAUNCHER = join(ROOT, 'bin/bedrock-proxy.js');
const PYTEST = findPython('boto3, pytest');

/** A copy of a project, to be run in. */
function copyProject(name: string, { folder }: Workplace): string {
  const copy = join(folder, name);
  cpSync(join(ROOT, 'examples', name), copy, { recursive: true });
  return copy;
}

/** `bedrock-proxy` as the package has it, but from the source: nothing is built for this. */
function installPackages(project: string): void {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, '@aws-sdk'), { recursive: true });
  for (const name of ['vitest', '@aws-sdk/client-bedrock-runtime']) {
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name), 'junction');
  }
  const own = join(project, '..', 'bedrock-proxy');
  mkdirSync(own);
  writeFileSync(join(own, 'package.json'), JSON.stringify({ type: 'module', exports: { './vitest': './vitest.mjs' } }));
  const source = new URL('../../src/testing/vitest.ts', import.meta.url).href;
  writeFileSync(join(own, 'vitest.mjs'), `export * from ${JSON.stringify(source)};\n`);
  symlinkSync(own, join(modules, 'bedrock-proxy'), 'junction');
}

it('runs the tests of tested-app with Vitest', async () => {
  await using place = await openWorkplace();
  const project = copyProject('tested-app', place);
  installPackages(project);
  const args = [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--root',
    project,
    '--reporter',
    'json',
    '--outputFile',
    'told.json',
  ];
  await promisify(execFile)(process.execPath, args, { cwd: project, env: place.environment });
  const told: unknown = JSON.parse(readFileSync(join(project, 'told.json'), 'utf8'));
  expect(told).toMatchObject({ success: true, numPassedTests: 3, numTotalTests: 3 });
});

it.skipIf(PYTEST === undefined)('runs the tests of pytest (skipped if no Python has boto3 and pytest)', async () => {
  await using place = await openWorkplace();
  const env = {
    ...place.environment,
    BEDROCK_PROXY: `"${process.execPath}" "${LAUNCHER}"`,
    PYTHONDONTWRITEBYTECODE: '1',
  };
  const args = ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', copyProject('pytest', place)];
  const { stdout } = await promisify(execFile)(PYTEST ?? '', args, { env });
  expect(stdout).toContain('3 passed');
});
