/** Names every test that was not run, at the end of a run: it must not look like what passed. */
import type { Reporter, TestModule } from 'vitest/node';

/** Slow tests by file, as they were left out on purpose; all others one by one. */
export class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests('skipped')].map((test) => ({
        file: module.relativeModuleId,
        name: `${module.relativeModuleId} > ${test.fullName}`,
        // `npm test` filters by this tag; with --all a slow test that is skipped has another reason.
        isLeftOut: process.argv.includes('--tags-filter=!slow') && test.options.tags?.includes('slow') === true,
      })),
    );
    const leftOut = Map.groupBy(
      skipped.filter(({ isLeftOut }) => isLeftOut),
      ({ file }) => file,
    );
    const others = skipped.filter(({ isLeftOut }) => !isLeftOut).map(({ name }) => `  ${name}\n`);
    if (leftOut.size > 0) {
      const lines = [...leftOut].map(([file, tests]) => `  ${file} (${tests.length})\n`);
      process.stdout.write(`\nSlow tests, left out; \`npm test -- --all\` runs them:\n${lines.join('')}`);
    }
    if (others.length > 0) process.stdout.write(`\nSkipped on this machine:\n${others.join('')}`);
  }
}
