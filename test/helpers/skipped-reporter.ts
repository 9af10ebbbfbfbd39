/** Names every skipped test at the end of a run: what was not run must not look like what passed. */
import type { Reporter, TestModule } from 'vitest/node';

export class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests('skipped')].map((test) => `${module.relativeModuleId} > ${test.fullName}`),
    );
    if (skipped.length === 0) return;
    process.stdout.write(`\nSkipped on this machine:\n${skipped.map((name) => `  ${name}\n`).join('')}`);
  }
}
