/**
 * The launcher from outside: what it installs and prints in a checkout, and that it hands over exactly. The npm is a
 * stub (fake-checkout.ts); scripts/try-clones.mjs does the same with the real one.
 * @module-tag slow
 */
import { existsSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeCheckout, makeCheckout } from './fake-checkout.ts';

let checkout: FakeCheckout;
beforeEach(() => {
  checkout = makeCheckout();
});
afterEach(() => checkout.remove());

const isWindows = process.platform === 'win32';

describe('in a fresh clone', () => {
  it('installs a fresh clone and runs it, and leaves stdout to the program', async () => {
    const ending = await checkout.launch(['key', 'list', '--json', 'two words', '']).ending;
    expect(ending).toMatchObject({ code: 0, stdout: '["key","list","--json","two words",""]' });
    expect(checkout.started()).toEqual(['npm ci']);
    expect(ending.stderr).toBe('bedrock-proxy: installing the dependencies of this checkout (npm ci)\n');
  });

  it('installs nothing the second time, and says nothing', async () => {
    await checkout.launch(['first']).ending;
    const ending = await checkout.launch(['second']).ending;
    expect(ending).toMatchObject({ code: 0, stdout: '["second"]', stderr: '' });
    expect(checkout.started()).toEqual(['npm ci']);
  });

  it('sets a fresh clone up by launchers that start together, without one waiting for the other', async () => {
    const endings = await Promise.all(['a', 'b', 'c'].map((name) => checkout.launch([name]).ending));
    expect(endings.map(({ stdout }) => stdout)).toEqual(['["a"]', '["b"]', '["c"]']);
    expect(readdirSync(join(checkout.root, '.toolchain'))).toEqual(['npm.log']);
    const before = checkout.started().length;
    expect(await checkout.launch(['x']).ending).toMatchObject({ stdout: '["x"]', stderr: '' });
    expect(checkout.started()).toHaveLength(before);
  });

  it('removes what a set-up left that was killed', async () => {
    checkout.write('.toolchain/install-4194305/package.json', '');
    await checkout.launch(['x']).ending;
    expect(existsSync(join(checkout.root, '.toolchain', 'install-4194305'))).toBe(false);
  });

  it('passes on the exit code that the program in a clone sets', async () => {
    expect(await checkout.launch(['end', '5']).ending).toMatchObject({ code: 5, signal: null });
  });
});

describe('a set-up checkout', () => {
  beforeEach(async () => {
    await checkout.launch(['set-up']).ending;
  });

  it.each([
    {
      name: 'a changed lock',
      change: () => touch('package-lock.json', '{ "lockfileVersion": 4 }'),
      starts: ['npm ci'],
    },
    { name: 'a lock written anew with the same text', change: () => touch('package-lock.json'), starts: [] },
    { name: 'an install that did not end', change: () => rmSync(hiddenLock()), starts: ['npm ci'] },
    {
      name: 'a changed lock, beside devDependencies, which stay',
      change: () => {
        checkout.write('node_modules/vitest/vitest.mjs', '');
        touch('package-lock.json', '{ "lockfileVersion": 4 }');
      },
      starts: ['npm ci with dev'],
    },
  ])('sets a checkout up again exactly if that is needed: $name', async ({ change, starts }) => {
    const before = checkout.started().length;
    change();
    expect(await checkout.launch(['x']).ending).toMatchObject({ code: 0, stdout: '["x"]' });
    expect(checkout.started().slice(before)).toEqual(starts);
  });

  it('installs devDependencies once, when an npm script needs them', async () => {
    checkout.write('bench/run.ts', `process.stdout.write(process.argv[2] satisfies unknown as string);`);
    const bench = () => checkout.launch(['bench', 'it runs'], { script: 'scripts/run.mjs' }).ending;
    for (const ending of [await bench(), await bench()]) expect(ending).toMatchObject({ code: 0, stdout: 'it runs' });
    expect(await checkout.launch(['x']).ending).toMatchObject({ code: 0, stderr: '' });
    expect(checkout.started()).toEqual(['npm ci', 'npm ci with dev']);
  });
});

describe('when the set-up cannot be done', () => {
  it('says in one line that npm did not reach the registry', async () => {
    const ending = await checkout.launch(['x'], { npm: 'offline' }).ending;
    expect(ending).toMatchObject({ code: 1, stdout: '' });
    expect(ending.stderr.trim().split('\n').at(-1)).toBe(
      'bedrock-proxy: could not install the dependencies: npm could not reach the package registry, ENOTFOUND; ' +
        'connect this machine once and start again',
    );
    expect(ending.stderr).not.toContain('    at ');
    expect(await checkout.launch(['x']).ending).toMatchObject({ code: 0, stdout: '["x"]' });
  });

  it.skipIf(isWindows).each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'ends a set-up by %s in its middle, with its npm, and leaves nothing behind',
    async (signal) => {
      const launched = checkout.launch(['x'], { npm: 'hang' });
      const npm = await seeNpmHang();
      launched.child.kill(signal);
      expect(await launched.ending).toMatchObject({ signal, stdout: '' });
      expect(() => process.kill(npm, 0)).toThrow('ESRCH');
      expect(readdirSync(join(checkout.root, '.toolchain'))).toEqual([]);
    },
  );
});

describe('under too old a Node', () => {
  it.skipIf(isWindows)(
    'fetches the pinned Node under too old a Node, once, sets up with it and runs under it',
    async () => {
      const ending = await checkout.launch(['x', 'y z'], { oldNode: true }).ending;
      expect(ending).toMatchObject({ code: 0, stdout: '["x","y z"]' });
      expect(ending.stderr).toMatch(
        /^bedrock-proxy: needs Node 22\.19 or newer, and this is v20\.20\.2: fetching Node \S+ into \.toolchain \(npm package node-/,
      );
      expect(checkout.started()).toEqual(['npm ci', 'npm ci']);
      expect(await checkout.launch(['x'], { oldNode: true }).ending).toMatchObject({ stdout: '["x"]', stderr: '' });
    },
  );

  it('says which Node to install if none can be fetched', async () => {
    const ending = await checkout.launch(['x'], { oldNode: true, npm: 'offline' }).ending;
    expect(ending).toMatchObject({ code: 1, stdout: '' });
    expect(ending.stderr.trim().split('\n').at(-1)).toMatch(
      /^bedrock-proxy: needs Node\.js 22\.19 or newer, and this is v20\.20\.2: install Node 24 from .* \(.*ENOTFOUND.*\)$/,
    );
  });

  it.skipIf(isWindows).each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'passes %s on to the fetched Node, a second one too, and then the exit code',
    async (signal) => {
      const launched = checkout.launch(['wait'], { oldNode: true });
      await launched.says('ready ');
      launched.child.kill(signal);
      await launched.says(`ready ${signal} `);
      launched.child.kill(signal);
      expect(await launched.ending).toMatchObject({ code: 7, stdout: `ready ${signal} ${signal} ` });
    },
  );

  it.skipIf(isWindows)('passes on the exit code of the program under a fetched Node', async () => {
    expect(await checkout.launch(['end', '5'], { oldNode: true }).ending).toMatchObject({ code: 5, signal: null });
  });
});

describe('a published package', () => {
  beforeEach(async () => {
    await checkout.launch(['set-up']).ending;
    checkout.publish();
  });

  it('runs the build of a published package', async () => {
    rmSync(join(checkout.root, 'node_modules'), { recursive: true });
    expect(await checkout.launch(['x']).ending).toMatchObject({ code: 0, stdout: '["x"]', stderr: '' });
    expect(checkout.started()).toEqual(['npm ci']);
  });

  it('prints one line in a package on too old a Node, and fetches nothing', async () => {
    expect(await checkout.launch(['x'], { oldNode: true }).ending).toEqual({
      code: 1,
      signal: null,
      stdout: '',
      stderr:
        'bedrock-proxy: needs Node.js 22.19 or newer, and this is v20.20.2: install Node 24 from https://nodejs.org\n',
    });
    expect(checkout.started()).toEqual(['npm ci']);
  });
});

describe('started by npm', () => {
  it.skipIf(isWindows)('ends if the shell that npm started it with is killed', async () => {
    await checkout.launch(['set-up']).ending;
    const launched = checkout.launch(['wait'], { throughShell: true });
    await launched.says('ready ');
    launched.child.kill('SIGKILL');
    await launched.says('ready SIGTERM ');
    process.kill(Number(checkout.read('../pid')), 'SIGKILL');
    await launched.ending;
  });
});

/** Writes a file of the checkout as if a minute from now. */
function touch(path: string, text = checkout.read(path)) {
  checkout.write(path, text);
  const later = new Date(Date.now() + 60_000);
  utimesSync(join(checkout.root, path), later, later);
}

function hiddenLock() {
  return join(checkout.root, 'node_modules', '.package-lock.json');
}

function lastStarted() {
  return checkout.started().at(-1);
}

/** Waits for the stub npm's note that it hangs now, and returns its process id. */
async function seeNpmHang(): Promise<number> {
  await expect.poll(lastStarted, { timeout: 10_000 }).toMatch(/^hangs \d+$/);
  return Number(lastStarted()?.slice('hangs '.length));
}
