import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { listAddresses, ListenError, openPort } from '../../src/server/listen.ts';
import { findClosedPort } from '../helpers/ports.ts';

function aServer(): Server {
  const server = createServer((socket) => socket.end());
  onTestFinished(() => void server.close());
  return server;
}

describe('the addresses of --host', () => {
  it.each([
    { hosts: ['127.0.0.1'], addresses: ['127.0.0.1'] },
    { hosts: ['localhost'], addresses: ['127.0.0.1', '::1?'] },
    { hosts: ['LOCALHOST', '172.17.0.1'], addresses: ['127.0.0.1', '172.17.0.1', '::1?'] },
    { hosts: ['172.17.0.1', 'localhost'], addresses: ['172.17.0.1', '127.0.0.1', '::1?'] },
    { hosts: ['localhost', '::1', '127.0.0.1'], addresses: ['127.0.0.1', '::1'] },
    { hosts: ['0.0.0.0'], addresses: ['0.0.0.0', '::1?'] },
    { hosts: ['127.0.0.1', '0.0.0.0', 'fd00::7'], addresses: ['0.0.0.0', 'fd00::7', '::1?'] },
    { hosts: ['0.0.0.0', '::', '10.0.0.7'], addresses: ['::'] },
  ])('are $addresses for $hosts', ({ hosts, addresses }) => {
    const told = listAddresses(hosts).map(({ host, isOptional }) => `${host}${isOptional ? '?' : ''}`);
    expect(told).toEqual(addresses);
  });
});

describe('opening a port', () => {
  it('opens the same port on each address, and says that it does not own localhost', async () => {
    const servers = [aServer(), aServer()] as const;
    const addresses = listAddresses(['127.0.0.1', '127.0.0.7']);
    const opened = await openPort(servers[0], () => servers[1], { addresses, port: 0 });
    expect(servers.map((server) => (server.address() as AddressInfo).port)).toEqual([opened.port, opened.port]);
    expect(opened).toMatchObject({ heldByOther: undefined, ownsLocalhost: false });
  });

  it('passes over an optional address that the machine lacks, and names one that another program has', async () => {
    // Of a network for documentation (RFC 3849): no machine has it.
    const missing = [...listAddresses(['127.0.0.1']), { host: '2001:db8::1', isOptional: true }];
    const without = await openPort(aServer(), aServer, { addresses: missing, port: 0 });
    expect(without).toMatchObject({ heldByOther: undefined });
    const port = await findClosedPort();
    await once(aServer().listen(port, '127.0.0.9'), 'listening');
    const held = [...listAddresses(['127.0.0.1']), { host: '127.0.0.9', isOptional: true }];
    const beside = await openPort(aServer(), aServer, { addresses: held, port });
    expect(beside).toEqual({ port, heldByOther: '127.0.0.9', ownsLocalhost: false });
  });

  it('opens none if one that is needed is taken, and says which', async () => {
    const port = await findClosedPort();
    await once(aServer().listen(port, '127.0.0.9'), 'listening');
    const main = aServer();
    const opening = openPort(main, aServer, { addresses: listAddresses(['127.0.0.1', '127.0.0.9']), port });
    const error: unknown = await opening.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ListenError);
    expect(error).toMatchObject({ host: '127.0.0.9', cause: { code: 'EADDRINUSE' } });
    expect(main.listening).toBe(false);
  });
});
