import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanEnvironment } from '../../scripts/children.mjs';
import { findNpm } from '../../scripts/npm.mjs';

describe('cleanEnvironment', () => {
  const node = join('opt', 'node', 'bin', 'node');

  it('drops what an outer npm set for its own run', () => {
    const outer = {
      npm_config_prefix: '/usr',
      npm_config_local_prefix: '/somewhere',
      npm_config_omit: 'dev',
      npm_config_ignore_scripts: 'false',
      npm_config_global: 'true',
      npm_lifecycle_event: 'npx',
      npm_package_json: '/x',
      npm_execpath: '/x',
      NPM_CONFIG_PRODUCTION: 'true',
      NODE_ENV: 'production',
      NODE_OPTIONS: '--require x',
    };
    expect(cleanEnvironment(outer, node)).toEqual({ PATH: dirname(node) + delimiter });
  });

  it.each([
    'npm_config_registry',
    'npm_config_cache',
    'npm_config_cafile',
    'npm_config_https_proxy',
    'NPM_CONFIG_REGISTRY',
    'npm_config_userconfig',
    'npm_config_globalconfig',
    'npm_config_fetch_timeout',
    'npm_config_//registry.example/:_authToken',
    'npm_config_@scope:registry',
    'HTTPS_PROXY',
    'HOME',
  ])('keeps the setting of npm %s', (name) => {
    expect(cleanEnvironment({ [name]: 'x' }, node)).toHaveProperty([name], 'x');
  });

  it('puts this Node first on the PATH, however Windows spells that', () => {
    expect(cleanEnvironment({ Path: 'a' }, node)).toEqual({ PATH: dirname(node) + delimiter + 'a' });
  });
});

describe('findNpm', () => {
  let home: string;
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'bedrock-proxy-npm-'));
    for (const folder of ['running', join('lib', 'node_modules', 'npm', 'bin')]) {
      mkdirSync(join(home, folder), { recursive: true });
      for (const name of ['npm-cli.js', 'npx-cli.js']) writeFileSync(join(home, folder, name), '');
    }
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it.each([
    { name: 'the running npm', running: 'npm-cli.js' },
    { name: 'the npm of a running npx', running: 'npx-cli.js' },
  ])('finds $name', ({ running }) => {
    const npm = findNpm({ npm_execpath: join(home, 'running', running) }, 'node');
    expect(npm).toEqual({ command: 'node', args: [join(home, 'running', 'npm-cli.js')], shell: false });
  });

  it.each([
    { name: 'there is none', running: undefined },
    { name: 'it is another package manager', running: join('running', 'yarn.js') },
    { name: 'it has been removed', running: join('gone', 'npm-cli.js') },
  ])('finds the npm beside the Node if it was not started by npm: $name', ({ running }) => {
    const npm = findNpm(running === undefined ? {} : { npm_execpath: join(home, running) }, join(home, 'bin', 'node'));
    expect(npm.args).toEqual([join(home, 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js')]);
  });

  it('finds npm on the PATH in the end', () => {
    const shell = process.platform === 'win32';
    expect(findNpm({}, join(home, 'elsewhere', 'bin', 'node'))).toEqual({ command: 'npm', args: [], shell });
  });
});
