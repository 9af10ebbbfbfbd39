/** What a command loads before it does anything: the packages of the server stay out of the quick ones. */
import { expect, it } from 'vitest';
import { openCli } from '../helpers/cli.ts';

/** Options for a Node that says on stderr which installed packages it loaded, at its end. */
function listingPackages(): string {
  const hooks = `import { registerHooks } from 'node:module';
    const names = new Set();
    registerHooks({
      load: (url, context, next) => {
        const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
        if (name !== undefined) names.add(name);
        return next(url, context);
      },
    });
    process.on('exit', () => process.stderr.write('loaded: ' + [...names].sort().join(' ')));`;
  return `--import=data:text/javascript,${encodeURIComponent(hooks)}`;
}

it.each([
  { args: ['--version'], allowed: ['chalk', 'commander'] },
  { args: ['--help'], allowed: ['chalk', 'commander'] },
  { args: ['start', '--help'], allowed: ['chalk', 'commander'] },
  { args: ['__complete', 'fish', 'start', '--'], allowed: ['chalk', 'commander'] },
  { args: ['__complete', 'fish', 'prices', 'show', ''], allowed: ['chalk', 'commander'] },
  { args: ['key', 'list'], allowed: ['better-sqlite3', 'bindings', 'chalk', 'commander', 'file-uri-to-path'] },
])('loads no more than $allowed for $args', async ({ args, allowed }) => {
  const { ended } = (await openCli()).spawn(args, { env: { NODE_OPTIONS: listingPackages() } });
  const { code, stderr } = await ended;
  expect(code).toBe(0);
  const loaded = /loaded: (.*)$/.exec(stderr)?.[1]?.split(' ') ?? [];
  expect(loaded).toContain('commander');
  expect(loaded.filter((name) => !allowed.includes(name))).toEqual([]);
});
