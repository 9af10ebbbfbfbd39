import type { NetworkInterfaceInfo } from 'node:os';
import { expect, it } from 'vitest';
import { listNetworkUrls } from '../../src/app/network-urls.ts';

const entry = (address: string, internal = false): NetworkInterfaceInfo => ({
  address,
  internal,
  netmask: '',
  mac: '',
  cidr: null,
  family: 'IPv4',
});
const INTERFACES = {
  lo: [entry('127.0.0.1', true), entry('::1', true)],
  eth0: [entry('fe80::1'), entry('fd00::2'), entry('192.168.1.7')],
  docker0: [entry('172.17.0.1')],
};

it.each([
  { hosts: ['localhost'], urls: [] },
  { hosts: ['127.0.0.1', '::1'], urls: [] },
  { hosts: ['0.0.0.0'], urls: ['http://192.168.1.7:4000/bedrock', 'http://172.17.0.1:4000/bedrock'] },
  {
    hosts: ['::'],
    urls: ['http://192.168.1.7:4000/bedrock', 'http://172.17.0.1:4000/bedrock', 'http://[fd00::2]:4000/bedrock'],
  },
  { hosts: ['localhost', '172.17.0.1'], urls: ['http://172.17.0.1:4000/bedrock'] },
  {
    hosts: ['dev.example', '192.168.1.7'],
    urls: ['http://dev.example:4000/bedrock', 'http://192.168.1.7:4000/bedrock'],
  },
])('others reach $hosts under $urls', ({ hosts, urls }) => {
  expect(listNetworkUrls(hosts, { port: 4000, mountPath: '/bedrock' }, INTERFACES)).toEqual(urls);
});
