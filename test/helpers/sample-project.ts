/** Projects with tests of their own, which a test runs as their authors do. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What Vitest reports as JSON, as far as it is looked at. */
export interface VitestReport {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly failureMessages: readonly string[] }[];
  }[];
}

/** Runs the project's tests. `code` is 1 if one of them, or a hook, has failed. */
export async function runVitest(
  project: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly output: string; readonly report: VitestReport }> {
  const reporting = ['--reporter', 'default', '--reporter', 'json', '--outputFile', 'told.json'];
  const args = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', project, ...reporting];
  const { code, output } = await new Promise<{ code: number; output: string }>((resolve) => {
    execFile(process.execPath, args, { cwd: project, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : 1, output: stdout + stderr });
    });
  });
  return { code, output, report: JSON.parse(readFileSync(join(project, 'told.json'), 'utf8')) as VitestReport };
}

/** `bedrock-proxy` as the package has it, but from the source: nothing is built for this. */
export function installPackages(project: string): void {
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
