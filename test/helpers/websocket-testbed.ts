/** The whole proxy before a fake AgentCore that speaks WebSocket, and the words with which a client asks for one. */
import { expect, onTestFinished } from 'vitest';
import { canTellUpgrades } from '../../src/server/client-upgrade.ts';
import { type FakeWebSocketServer, startFakeWebSocketServer } from './fake-websocket.ts';
import { openProxy } from './proxy-test.ts';
import type { Testbed, TestbedOptions } from './testbed.ts';
import { dial, type RawSocket, requestText } from './raw-socket.ts';

/** Whether this Node serves WebSocket: 22.19 and 22.20 are supported without it. */
export const IS_SERVED = canTellUpgrades(process.versions.node);

const ARN = 'arn%3Aaws%3Abedrock-agentcore%3Aus-east-1%3A123456789012%3Aruntime%2Fmy_agent-1234567890';
export const WS_PATH = `/runtimes/${ARN}/ws`;
/** The example of RFC 6455, section 1.3. */
export const WS_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

export interface WebSocketTestbed {
  readonly aws: FakeWebSocketServer;
  readonly testbed: Testbed;
  /** A virtual key. */
  readonly key: string;
  /** The headers of an upgrade. */
  handshake(extra?: readonly string[], bearer?: string): string[];
  /** Sends an upgrade on a connection of its own; `more` comes in the same packet. */
  dialWebSocket(target?: string, extra?: readonly string[], more?: string): Promise<RawSocket>;
}

/** Starts both for the test that runs. After it, AWS must have seen no fault, and both are closed. */
export async function openWebSocketProxy(options: TestbedOptions = {}): Promise<WebSocketTestbed> {
  const aws = await startFakeWebSocketServer();
  onTestFinished(async () => {
    await aws[Symbol.asyncDispose]();
    expect(aws.failures).toEqual([]);
  });
  const testbed = await openProxy({ ...options, flags: { endpointUrl: [`http://127.0.0.1:${aws.port}`] } });
  const { key } = await testbed.mint('tester');
  const handshake: WebSocketTestbed['handshake'] = (extra = [], bearer = key) => [
    `Host: localhost:${testbed.port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    `Authorization: Bearer ${bearer}`,
    `Sec-WebSocket-Key: ${WS_KEY}`,
    'Sec-WebSocket-Version: 13',
    ...extra,
  ];
  return {
    aws,
    testbed,
    key,
    handshake,
    dialWebSocket: async (target = WS_PATH, extra = [], more = '') => {
      const raw = await dial(testbed.port);
      await raw.send(requestText(`GET /bedrock${target} HTTP/1.1`, handshake(extra), more));
      return raw;
    },
  };
}
