/**
 * The sample projects of examples/ whose tests need no AWS account: their own tests, run in a copy of them that has the
 * packages it names, as `npm install` would put them there.
 * @module-tag slow
 */
import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { openWorkplace, type Workplace } from '../helpers/program.ts';
import { findPython } from '../helpers/python.ts';
import { installPackages, runVitest } from '../helpers/sample-project.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LAUNCHER = join(ROOT, 'bin/bedrock-proxy.js');
const PYTEST = findPython('boto3, pytest');

/** A copy of a project, to be run in. */
function copyProject(name: string, { folder }: Workplace): string {
  const copy = join(folder, name);
  cpSync(join(ROOT, 'examples', name), copy, { recursive: true });
  return copy;
}

it('runs the tests of tested-app with Vitest', async () => {
  await using place = await openWorkplace();
  const project = copyProject('tested-app', place);
  installPackages(project);
  const { code, report } = await runVitest(project, place.environment);
  expect([code, report]).toEqual([0, expect.objectContaining({ numPassedTests: 4, numTotalTests: 4 })]);
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
